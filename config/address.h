// The addresses a daemon may listen on, and those its clients may come from. Names are not looked up: neither must
// depend on a name server.
#pragma once

#include <array>
#include <optional>
#include <string>

namespace cproto {

// An IPv4 or IPv6 address (without brackets or scope) or "localhost".
[[nodiscard]] bool is_address(const std::string& host);

// Reachable from this machine alone: 127.0.0.0/8, ::1, "localhost". Anything else, "*" included, is not.
[[nodiscard]] bool is_loopback(const std::string& host);

// Addresses that begin with the same bits; IPv4 ones as IPv6 has them, ::ffff:0:0/96.
struct Network {
  std::array<unsigned char, 16> first{};
  unsigned bits = 128;
  [[nodiscard]] bool contains(const std::string& address) const;
};

// "192.0.2.0/24", "2001:db8::/32"; an address alone is a network of one. nullopt: it is neither, or has bits behind its
// length.
[[nodiscard]] std::optional<Network> parse_network(const std::string& text);

}  // namespace cproto
