#include "config/version.h"

#include <string_view>

#include "cproto_commit.h"

namespace cproto {

std::string version_line(const char* program) {
  constexpr std::string_view kCommit = CPROTO_COMMIT;
  std::string line = std::string(program) + " " CPROTO_VERSION;
  if (!kCommit.empty()) line.append(" (").append(kCommit).append(")");
  return line;
}

}  // namespace cproto
