#include "client/wording.h"

#include <algorithm>
#include <cctype>

namespace cproto::client {

std::string printable(ByteView bytes, std::size_t bytes_max) {
  std::string text;
  for (const std::uint8_t byte : bytes.first(std::min(bytes.size(), bytes_max))) {
    if (byte >= 0x20 && byte <= 0x7e) {
      text += static_cast<char>(byte);
    } else {
      text += "\\x" + to_hex({&byte, 1});
    }
  }
  return text;
}

std::string printable(std::string_view text, std::size_t bytes_max) { return printable(as_bytes(text), bytes_max); }

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
