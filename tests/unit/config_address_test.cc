#include "config/address.h"

#include <doctest/doctest.h>

#include <string>

namespace cproto {
namespace {

TEST_CASE("config: 127.0.0.0/8, ::1 and localhost are loopback") {
  for (const char* host : {"127.0.0.1", "127.255.255.254", "::1", "0:0:0:0:0:0:0:1", "localhost"}) {
    CAPTURE(host);
    CHECK(is_loopback(host));
    CHECK(is_address(host));
  }
}

TEST_CASE("config: other addresses are not loopback") {
  for (const char* host : {"0.0.0.0", "128.0.0.1", "192.0.2.7", "::", "::2", "fe80::1", "::ffff:127.0.0.1"}) {
    CAPTURE(host);
    CHECK_FALSE(is_loopback(host));
    CHECK(is_address(host));
  }
}

TEST_CASE("config: what is no address is neither an address nor loopback") {
  const std::string with_nul("127.0.0.1\0x", 11);
  for (const std::string& host : {std::string("*"), std::string(), std::string("127.1"), std::string("127.0.0.1 "),
                                  std::string("[::1]"), std::string("logs.example.org"), with_nul}) {
    CAPTURE(host);
    CHECK_FALSE(is_loopback(host));
    CHECK_FALSE(is_address(host));
  }
}

}  // namespace
}  // namespace cproto
