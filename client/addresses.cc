#include "client/addresses.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace cproto::client {

namespace {

std::optional<ServerAddress> with_port(std::string_view host, std::string_view port) {
  const std::optional<std::uint16_t> number = parse_port(port);
  if (host.empty() || !number) return std::nullopt;
  return ServerAddress{std::string(host), *number};
}

// With or without the interface of a link-local one: fe80::1%eth0.
bool is_ipv6(std::string_view text) {
  in6_addr ignored;
  return inet_pton(AF_INET6, std::string(text.substr(0, text.find('%'))).c_str(), &ignored) == 1;
}

std::optional<ServerAddress> parse_bracketed(std::string_view text, std::uint16_t default_port) {
  const std::size_t end = text.find(']');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view host = text.substr(1, end - 1);
  if (!is_ipv6(host)) return std::nullopt;
  const std::string_view rest = text.substr(end + 1);
  if (rest.empty()) return ServerAddress{std::string(host), default_port};
  return rest[0] == ':' ? with_port(host, rest.substr(1)) : std::nullopt;
}

bool is_internet(const addrinfo& info) { return info.ai_family == AF_INET || info.ai_family == AF_INET6; }

}  // namespace

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, port);
  if (error != std::errc() || rest != end || port == 0) return std::nullopt;
  return port;
}

std::optional<ServerAddress> parse_server_address(std::string_view text, std::uint16_t default_port) {
  // A NUL, a blank or a control byte is in no name, and would end it for the resolver; a dash in front is an option's.
  const auto is_odd = [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '/'; };
  if (text.empty() || text.front() == '-' || std::any_of(text.begin(), text.end(), is_odd)) return std::nullopt;
  if (text.front() == '[') return parse_bracketed(text, default_port);
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || is_ipv6(text)) return ServerAddress{std::string(text), default_port};
  return with_port(text.substr(0, colon), text.substr(colon + 1));
}

std::string to_string(const ServerAddress& server) {
  const bool has_colon = server.host.find(':') != std::string::npos;
  return (has_colon ? "[" + server.host + "]" : server.host) + ":" + std::to_string(server.port);
}

std::vector<SocketAddress> alternate_families(const addrinfo* found) {
  std::array<std::vector<SocketAddress>, 2> by_family;  // the first one's, the other
  int first = AF_UNSPEC;
  for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
    if (!is_internet(*info) || info->ai_addrlen > sizeof(SocketAddress)) continue;
    if (first == AF_UNSPEC) first = info->ai_family;
    SocketAddress address{};
    std::memcpy(&address, info->ai_addr, info->ai_addrlen);
    auto& family = by_family[info->ai_family == first ? 0 : 1];
    const auto is_same = [&](const SocketAddress& a) { return std::memcmp(&a, &address, sizeof a) == 0; };
    if (std::none_of(family.begin(), family.end(), is_same)) family.push_back(address);
  }
  std::vector<SocketAddress> ordered;
  for (std::size_t i = 0; i < std::max(by_family[0].size(), by_family[1].size()); ++i)
    for (const auto& family : by_family)
      if (i < family.size()) ordered.push_back(family[i]);
  return ordered;
}

std::string to_string(const SocketAddress& address) {
  std::array<char, NI_MAXHOST> host{};
  const socklen_t size = address.ss_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  if (getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, host.data(), host.size(), nullptr, 0,
                  NI_NUMERICHOST) != 0)
    return "?";
  return host.data();
}

}  // namespace cproto::client
