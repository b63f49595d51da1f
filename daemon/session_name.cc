#include "daemon/session_name.h"

#include <openssl/sha.h>

namespace cproto {

std::string short_name(const SessionId& id) {
  std::uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(id.data(), id.size(), digest);
  return to_hex(ByteView(digest).first(4));
}

}  // namespace cproto
