#include "client/congestion.h"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

using namespace cproto;
using namespace cproto::client;

TEST_CASE("congestion: auto asks for BBR on a long way, and leaves a short one as it is") {
  CHECK(congestion_to_ask_for("auto", 50ms) == "bbr");
  CHECK(congestion_to_ask_for("auto", 5ms) == "bbr");
  CHECK(congestion_to_ask_for("auto", 4999us) == "");
  CHECK(congestion_to_ask_for("auto", 30us) == "");
}

TEST_CASE("congestion: a round trip that could not be measured had a loss, and counts as long") {
  CHECK(congestion_to_ask_for("auto", 0ms) == "bbr");
}

TEST_CASE("congestion: what is named is asked for on any way, and system is nothing to ask for") {
  CHECK(congestion_to_ask_for("cubic", 30us) == "cubic");
  CHECK(congestion_to_ask_for("bbr", 30us) == "bbr");
  CHECK(congestion_to_ask_for("system", 50ms) == "");
}

TEST_CASE("congestion: a setting is a word of the kernel's alphabet and length") {
  for (const char* good : {"auto", "system", "bbr", "bbr2", "tcp_x-1", "fifteen-letters"})
    CHECK(is_congestion_setting(good));
  for (const char* bad : {"", "BBR", "b b", "bbr\n", "sixteen-letters-", "../x"})
    CHECK_FALSE(is_congestion_setting(bad));
}

TEST_CASE("congestion: the remedy keeps what is allowed already, and loads what is not there") {
  CHECK(congestion_remedy("bbr", EPERM, "reno cubic") ==
        "sysctl -w net.ipv4.tcp_allowed_congestion_control=\"reno cubic bbr\"");
  CHECK(congestion_remedy("bbr", ENOENT, "reno cubic") ==
        "modprobe tcp_bbr && sysctl -w net.ipv4.tcp_allowed_congestion_control=\"reno cubic bbr\"");
  CHECK(congestion_remedy("bbr", ENOENT, "reno bbr") == "modprobe tcp_bbr");
}

TEST_CASE("congestion: what is allowed already is kept also where it is not known") {
  CHECK(
      congestion_remedy("bbr", EPERM, "") ==
      "sysctl -w net.ipv4.tcp_allowed_congestion_control=\"$(sysctl -n net.ipv4.tcp_allowed_congestion_control) bbr\"");
}

TEST_CASE("congestion: where the sysctl would change nothing, none is named") {
  CHECK(congestion_remedy("bbr", EPERM, "reno cubic bbr") == "");
  CHECK(congestion_remedy("bbr", ENOPROTOOPT, "reno cubic") == "");
}

TEST_CASE("congestion: it is said in one clause") {
  CHECK(congestion_clause({}) == "");
  CHECK(congestion_clause({"bbr", "", ""}) == "bbr");
  CHECK(congestion_clause({"cubic", "bbr", ""}) == "cubic (bbr is refused)");
  CHECK(congestion_clause({"cubic", "bbr", "do this"}) == "cubic (bbr is refused; to allow it: do this)");
}

TEST_CASE("congestion: reno is every kernel's, and what no kernel has is refused with what to do") {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  REQUIRE(fd >= 0);
  CHECK(set_congestion(fd, "reno").name == "reno");
  const Congestion got = set_congestion(fd, "no-such-thing");
  CHECK(got.name == "reno");
  CHECK(got.refused == "no-such-thing");
  CHECK(got.remedy.starts_with("modprobe tcp_no-such-thing && sysctl -w "));
  CHECK(set_congestion(fd, "system").refused.empty());
  close(fd);
}

TEST_CASE("congestion: what is no socket has none") { CHECK(set_congestion(-1, "system").name.empty()); }
