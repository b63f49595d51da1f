// Where servers are: what a person writes, and the order in which what a name stands for is tried.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct addrinfo;

namespace cproto::client {

struct ServerAddress {
  std::string host;
  std::uint16_t port = 0;
  bool operator==(const ServerAddress&) const = default;
};

// HOST, HOST:PORT, [ADDR], [ADDR]:PORT, or a bare IPv6 address. nullopt if it is none of them.
std::optional<ServerAddress> parse_server_address(std::string_view text, std::uint16_t default_port);
// "logs:7780", "[::1]:7780".
std::string to_string(const ServerAddress& server);

// A decimal port from 1 to 65535.
std::optional<std::uint16_t> parse_port(std::string_view text);

using SocketAddress = sockaddr_storage;

// What a lookup found, each once, families in turn beginning with the first one's.
std::vector<SocketAddress> alternate_families(const addrinfo* found);
// The address without its port.
std::string to_string(const SocketAddress& address);

}  // namespace cproto::client
