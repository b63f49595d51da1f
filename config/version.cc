#include "config/version.h"

#include "cproto_commit.h"

namespace cproto {

std::string version_line(const char* program) {
  const std::string commit = CPROTO_COMMIT;
  return std::string(program) + " " CPROTO_VERSION + (commit.empty() ? "" : " (" + commit + ")");
}

}  // namespace cproto
