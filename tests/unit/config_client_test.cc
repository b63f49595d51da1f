// [tls], and the sections [client.NAME] that narrow what a client may.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "config/address.h"
#include "config/loader.h"
#include "config/print.h"

namespace cproto {
namespace {

using Lines = std::vector<std::string>;

Lines errors_of(const std::string& text) { return load_text(text, "c.toml").errors; }

TEST_CASE("config: a client's section narrows what it may") {
  const LoadResult result = load_text(
      "[client.web-1]\nchannels = [\"messages\", \"nginx\"]\nfiles = false\nfrom = \"192.0.2.0/24\"\n"
      "[client.db-1]\ncertificate_name = \"db-1.example\"\n",
      "c.toml");
  CHECK(result.errors == Lines{});
  REQUIRE(result.config.client.size() == 2);
  const Config::Client& web = result.config.client.at("web-1");
  CHECK(web.channels == Lines{"messages", "nginx"});
  CHECK_FALSE(web.files);
  CHECK(web.from == Lines{"192.0.2.0/24"});
  CHECK(result.config.client.at("db-1").certificate_name == "db-1.example");
  CHECK(load_text(print(result.config), "printed").config == result.config);
}

TEST_CASE("config: what is wrong in a client's section is said with its place") {
  CHECK(errors_of("[client.web-1]\nchanels = \"a\"\n") ==
        Lines{"c.toml:2:1: client.web-1.chanels: unknown key; did you mean \"channels\"?"});
  CHECK(
      errors_of("[client.web-1]\nchannels = [\"a\", \"../b\"]\n") ==
      Lines{"c.toml:2:18: client.web-1.channels = \"../b\": must be a list of names of 1 to 64 of A-Z a-z 0-9 . _ -"});
  CHECK(errors_of("[client.web-1]\nfrom = \"192.0.2.1/24\"\n") ==
        Lines{"c.toml:2:8: client.web-1.from = \"192.0.2.1/24\": must be a list of IP addresses and networks like "
              "\"192.0.2.0/24\""});
  CHECK(errors_of("[client.\"web 1\"]\nfiles = true\n") ==
        Lines{"c.toml:1:9: [client.web 1]: the name of a client is 1 to 64 of A-Z a-z 0-9 . _ -"});
  CHECK(errors_of("[client]\nfiles = false\n") ==
        Lines{"c.toml:2:1: client.files: the rules of a client are a section, [client.NAME]"});
}

TEST_CASE("config: a certificate goes with its key, and an authority with a certificate") {
  CHECK(errors_of("[tls]\ncertificate = \"a\"\n") ==
        Lines{"c.toml:2:15: tls.certificate = \"a\": goes with tls.certificate_key = \"\""});
  CHECK(errors_of("[tls]\ncertificate_key = \"a\"\n") ==
        Lines{"c.toml:2:19: tls.certificate_key = \"a\": goes with tls.certificate = \"\""});
  CHECK(errors_of("[tls]\nclient_ca = \"a\"\n") ==
        Lines{"c.toml:2:13: tls.client_ca = \"a\": goes with tls.certificate = \"\""});
}

TEST_CASE("network: it has the addresses that begin with its bits, and IPv4 in either form") {
  const auto has = [](const std::string& network, const std::string& address) {
    const auto parsed = parse_network(network);
    REQUIRE(parsed);
    return parsed->contains(address);
  };
  CHECK(has("192.0.2.0/24", "192.0.2.255"));
  CHECK_FALSE(has("192.0.2.0/24", "192.0.3.0"));
  CHECK(has("192.0.2.128/25", "::ffff:192.0.2.129"));
  CHECK_FALSE(has("192.0.2.128/25", "192.0.2.127"));
  CHECK(has("192.0.2.7", "192.0.2.7"));
  CHECK_FALSE(has("192.0.2.7", "192.0.2.8"));
  CHECK(has("0.0.0.0/0", "203.0.113.1"));
  CHECK_FALSE(has("0.0.0.0/0", "2001:db8::1"));
  CHECK(has("::/0", "2001:db8::1"));
  CHECK(has("2001:db8::/33", "2001:db8:7fff::1"));
  CHECK_FALSE(has("2001:db8::/33", "2001:db8:8000::1"));
}

TEST_CASE("network: what is none is told apart") {
  for (const char* bad : {"", "/", "localhost", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/x", "192.0.2.1/24", "::/129",
                          "192.0.2/24", "192.0.2.0/-1", "192.0.2.0/24 "}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_network(bad));
  }
}

}  // namespace
}  // namespace cproto
