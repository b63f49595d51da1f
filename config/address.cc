#include "config/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>
#include <optional>

namespace cproto {
namespace {

using Bytes4 = std::array<unsigned char, 4>;
using Bytes16 = std::array<unsigned char, 16>;

template <class Bytes>
std::optional<Bytes> parse(int family, const std::string& host) {
  Bytes bytes{};
  // inet_pton stops at a NUL, and would take what stands before it for the whole.
  if (host.find('\0') != std::string::npos) return std::nullopt;
  if (inet_pton(family, host.c_str(), bytes.data()) != 1) return std::nullopt;
  return bytes;
}

}  // namespace

bool is_address(const std::string& host) {
  return host == "localhost" || parse<Bytes4>(AF_INET, host) || parse<Bytes16>(AF_INET6, host);
}

bool is_loopback(const std::string& host) {
  if (host == "localhost") return true;
  if (const auto v4 = parse<Bytes4>(AF_INET, host)) return v4->front() == 127;
  return parse<Bytes16>(AF_INET6, host) == Bytes16{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
}

}  // namespace cproto
