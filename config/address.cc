#include "config/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>

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

std::optional<Bytes16> parse_either(const std::string& address) {
  if (const auto six = parse<Bytes16>(AF_INET6, address)) return six;
  const auto four = parse<Bytes4>(AF_INET, address);
  if (!four) return std::nullopt;
  Bytes16 bytes{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  std::copy(four->begin(), four->end(), bytes.begin() + 12);
  return bytes;
}

// What is left of an address if only its first bits count.
Bytes16 cut(Bytes16 address, unsigned bits) {
  for (unsigned i = 0; i < address.size(); ++i) {
    const unsigned kept = bits < 8 * i ? 0 : std::min(8u, bits - 8 * i);
    address[i] = static_cast<unsigned char>(address[i] & (0xff00u >> kept));
  }
  return address;
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

bool Network::contains(const std::string& address) const {
  const auto bytes = parse_either(address);
  return bytes && cut(*bytes, bits) == first;
}

std::optional<Network> parse_network(const std::string& text) {
  const std::size_t slash = text.find('/');
  const std::string address = text.substr(0, slash);
  const auto bytes = parse_either(address);
  if (!bytes) return std::nullopt;
  const unsigned mapped = address.find(':') == std::string::npos ? 96 : 0;
  Network network{*bytes, 128};
  if (slash != std::string::npos) {
    const char* end = text.data() + text.size();
    const auto [rest, code] = std::from_chars(text.data() + slash + 1, end, network.bits);
    if (code != std::errc() || rest != end || network.bits > 128 - mapped) return std::nullopt;
    network.bits += mapped;
  }
  if (cut(network.first, network.bits) != network.first) return std::nullopt;
  return network;
}

}  // namespace cproto
