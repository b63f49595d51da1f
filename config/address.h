// The addresses a daemon may listen on. Names are not looked up: what it listens on must not depend on a name server.
#pragma once

#include <string>

namespace cproto {

// An IPv4 or IPv6 address (without brackets or scope) or "localhost".
[[nodiscard]] bool is_address(const std::string& host);

// Reachable from this machine alone: 127.0.0.0/8, ::1, "localhost". Anything else, "*" included, is not.
[[nodiscard]] bool is_loopback(const std::string& host);

}  // namespace cproto
