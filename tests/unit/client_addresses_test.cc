#include "client/addresses.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netdb.h>
#include <netinet/in.h>

#include <deque>
#include <string>

using namespace cproto::client;

namespace {

std::string parsed(std::string_view text) {
  const auto server = parse_server_address(text, 7780);
  return server ? server->host + " " + std::to_string(server->port) : "-";
}

// What a name service could answer.
class Found {
 public:
  void add(const char* address) {
    SocketAddress& storage = storage_.emplace_back();
    addrinfo& info = infos_.emplace_back();
    auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
      info.ai_family = v4->sin_family = AF_INET;
      info.ai_addrlen = sizeof(sockaddr_in);
    } else {
      REQUIRE(inet_pton(AF_INET6, address, &v6->sin6_addr) == 1);
      info.ai_family = v6->sin6_family = AF_INET6;
      info.ai_addrlen = sizeof(sockaddr_in6);
    }
    info.ai_addr = reinterpret_cast<sockaddr*>(&storage);
    if (infos_.size() > 1) infos_[infos_.size() - 2].ai_next = &info;
  }
  std::string alternated() const {
    std::string text;
    for (const SocketAddress& address : alternate_families(infos_.empty() ? nullptr : &infos_.front()))
      text += (text.empty() ? "" : " ") + to_string(address);
    return text;
  }

 private:
  std::deque<SocketAddress> storage_;
  std::deque<addrinfo> infos_;
};

}  // namespace

TEST_CASE("server address: a host with or without a port, and IPv6 with or without brackets") {
  CHECK(parsed("logs") == "logs 7780");
  CHECK(parsed("logs.example.org:9") == "logs.example.org 9");
  CHECK(parsed("192.0.2.7:65535") == "192.0.2.7 65535");
  CHECK(parsed("::1") == "::1 7780");
  CHECK(parsed("2001:db8::7") == "2001:db8::7 7780");
  CHECK(parsed("[::1]") == "::1 7780");
  CHECK(parsed("[2001:db8::7]:9") == "2001:db8::7 9");
  CHECK(parsed("fe80::1%eth0") == "fe80::1%eth0 7780");
}

TEST_CASE("server address: what is none of these is refused") {
  for (const char* text :
       {"",      ":",    ":9", "logs:", "logs:0", "logs:65536", "logs:x",   "logs:9x",     "logs:-1", "logs: 9",
        "a:b:c", "[::1", "[]", "[]:9",  "[::1]9", "[::1]:",     "[logs]:9", "http://logs", "a b",     "logs:9:9"})
    CHECK_MESSAGE(parsed(text) == "-", text);
  CHECK(parsed(std::string_view("lo\0gs", 5)) == "-");
}

TEST_CASE("server address: it is written so that it can be read again") {
  CHECK(to_string(ServerAddress{"logs", 7780}) == "logs:7780");
  CHECK(to_string(ServerAddress{"::1", 9}) == "[::1]:9");
}

TEST_CASE("addresses of a name: families take turns, beginning with the first one's, and none is tried twice") {
  Found found;
  CHECK(found.alternated().empty());
  for (const char* address : {"2001:db8::1", "2001:db8::2", "2001:db8::1", "192.0.2.1", "2001:db8::3", "192.0.2.2"})
    found.add(address);
  CHECK(found.alternated() == "2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2 2001:db8::3");
}
