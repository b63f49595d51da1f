#include "config/value.h"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

namespace cproto::config {
namespace {

constexpr std::array<std::string_view, 3> kWords = {"low", "mid", "high"};
constexpr Domain kBoolean = {Kind::boolean};
constexpr Domain kCount = {Kind::count, 1, 10};
constexpr Domain kCountOrNone = {Kind::count, 1, 10, true};
constexpr Domain kSize = {Kind::size, 64, 65'536};
constexpr Domain kTime = {Kind::time, 1'000, 60'000};
constexpr Domain kText = {Kind::text, 1, 4};
constexpr Domain kWord = {Kind::word, 0, 0, false, kWords};
constexpr Domain kHosts = {Kind::hosts};

using List = std::vector<std::string>;

std::string refusal(const Domain& domain, const Written& written) {
  const Reading reading = read(domain, written);
  const auto* complaint = std::get_if<Complaint>(&reading);
  return complaint != nullptr ? complaint->what : "accepted";
}

Value value_of(const Domain& domain, const Written& written) {
  const Reading reading = read(domain, written);
  REQUIRE(std::holds_alternative<Value>(reading));
  return std::get<Value>(reading);
}

Written text(const char* written) { return std::string(written); }
Written number(std::int64_t written) { return written; }

TEST_CASE("config: both ends of a range belong to it") {
  CHECK(value_of(kCount, number(1)) == Value(std::uint64_t{1}));
  CHECK(value_of(kCount, number(10)) == Value(std::uint64_t{10}));
  CHECK(refusal(kCount, number(0)) == "must be a number from 1 to 10");
  CHECK(refusal(kCount, number(11)) == "must be a number from 1 to 10");
  CHECK(refusal(kCount, number(-1)) == "must be a number from 1 to 10");
}

TEST_CASE("config: 0 is outside a range that begins above it, unless it means no limit") {
  CHECK(value_of(kCountOrNone, number(0)) == Value(std::uint64_t{0}));
  CHECK(refusal(kCountOrNone, number(11)) == "must be a number from 1 to 10, or 0 for no limit");
}

TEST_CASE("config: a size is text with a unit, or a number of bytes") {
  CHECK(value_of(kSize, text("64KiB")) == Value(std::uint64_t{65'536}));
  CHECK(value_of(kSize, number(64)) == Value(std::uint64_t{64}));
  CHECK(refusal(kSize, text("1MiB")) == "must be a size from 64B to 64KiB");
  CHECK(refusal(kSize, text("large")) == "does not begin with a number; must be a size from 64B to 64KiB");
  CHECK(refusal(kSize, true) == "must be a size from 64B to 64KiB");
}

TEST_CASE("config: a time is text with a unit") {
  CHECK(value_of(kTime, text("1min")) == Value(std::uint64_t{60'000}));
  CHECK(refusal(kTime, text("2min")) == "must be a time from 1s to 1min");
  CHECK(refusal(kTime, number(20)) == "lacks a unit, one of d, h, min, s, ms; must be a time from 1s to 1min");
  CHECK(refusal(kTime, false) == "must be a time from 1s to 1min");
}

TEST_CASE("config: quotes around a number or boolean are pointed at") {
  CHECK(refusal(kCount, text("5")) == "must be a number from 1 to 10, without quotes");
  CHECK(refusal(kBoolean, text("true")) == "must be true or false, without quotes");
  CHECK(refusal(kBoolean, number(1)) == "must be true or false");
}

TEST_CASE("config: text has a length and no control characters") {
  CHECK(value_of(kText, text("abcd")) == Value(std::string("abcd")));
  for (const char* written : {"", "abcde", "a\nb", "\x7f"}) {
    CHECK(refusal(kText, text(written)) == "must be text of 1 to 4 bytes, without control characters");
  }
}

TEST_CASE("config: a word is one of the list") {
  CHECK(value_of(kWord, text("mid")) == Value(std::uint64_t{1}));
  CHECK(refusal(kWord, text("Mid")) == R"(must be "low", "mid" or "high")");
  CHECK(refusal(kWord, number(1)) == R"(must be "low", "mid" or "high")");
}

TEST_CASE("config: hosts are one address, several, or a star alone") {
  CHECK(value_of(kHosts, text("::1")) == Value(List{"::1"}));
  CHECK(value_of(kHosts, text("*")) == Value(List{"*"}));
  CHECK(value_of(kHosts, List{"localhost", "192.0.2.7"}) == Value(List{"localhost", "192.0.2.7"}));
  CHECK(refusal(kHosts, List{}) != "accepted");
  CHECK(refusal(kHosts, List{"*", "::1"}) == "stands for all addresses, so it must stand alone");
  CHECK(refusal(kHosts, List{"::1", "::1"}) == "is in the list already");
}

TEST_CASE("config: a complaint about a list says which item is meant") {
  const Reading reading = read(kHosts, List{"::1", "logs.example.org"});
  REQUIRE(std::holds_alternative<Complaint>(reading));
  CHECK(std::get<Complaint>(reading).item == 1u);
}

TEST_CASE("config: a type that no key has is refused by all") {
  for (const Domain& domain : {kBoolean, kCount, kSize, kTime, kText, kWord, kHosts}) {
    CHECK(refusal(domain, std::monostate{}) != "accepted");
  }
}

TEST_CASE("config: an argument that is to be a number may be nothing else") {
  CHECK(std::get<Value>(read_argument(kCount, "7")) == Value(std::uint64_t{7}));
  for (const char* typed : {"", "7x", " 7", "seven", "11", "99999999999999999999"}) {
    CAPTURE(typed);
    const Reading reading = read_argument(kCount, typed);
    REQUIRE(std::holds_alternative<Complaint>(reading));
    CHECK(std::get<Complaint>(reading).what == "must be a number from 1 to 10");
  }
}

TEST_CASE("config: a value is shown as the file would say it") {
  CHECK(show(kBoolean, true) == "true");
  CHECK(show(kCount, std::uint64_t{7}) == "7");
  CHECK(show(kSize, std::uint64_t{65'536}) == R"("64KiB")");
  CHECK(show(kTime, std::uint64_t{20'000}) == R"("20s")");
  CHECK(show(kTime, std::uint64_t{0}) == "0");
  CHECK(show(kWord, std::uint64_t{2}) == R"("high")");
  CHECK(show(kText, std::string("a\"b\\c\n")) == R"("a\"b\\c\u000a")");
  CHECK(show(kHosts, List{"*"}) == R"("*")");
  CHECK(show(kHosts, List{"127.0.0.1", "::1"}) == R"(["127.0.0.1", "::1"])");
}

}  // namespace
}  // namespace cproto::config
