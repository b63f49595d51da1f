#include "client/wording.h"

#include <cctype>

namespace cproto::client {

std::string short_id(const Id128& id) { return to_hex(ByteView(id).first(4)); }

std::string with_clause(std::string_view sentence, std::string_view more) {
  std::string text(sentence);
  if (more.empty()) return text;
  if (!text.ends_with('?')) return text.append("; ").append(more);
  text.append(" ");
  text += static_cast<char>(std::toupper(static_cast<unsigned char>(more.front())));
  return text.append(more.substr(1));
}

}  // namespace cproto::client
