#include "config/units.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>

namespace cproto {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr std::uint64_t kUint64Max = std::numeric_limits<std::uint64_t>::max();

TEST_CASE("units: a size is a whole number and a binary or decimal unit") {
  CHECK(parse_size("1B").value == 1u);
  CHECK(parse_size("64KiB").value == 65'536u);
  CHECK(parse_size("4MiB").value == 4'194'304u);
  CHECK(parse_size("1GiB").value == 1'073'741'824u);
  CHECK(parse_size("2KB").value == 2'000u);
  CHECK(parse_size("2MB").value == 2'000'000u);
  CHECK(parse_size("2GB").value == 2'000'000'000u);
}

TEST_CASE("units: a size without a unit is bytes") {
  CHECK(parse_size("1500").value == 1'500u);
  CHECK(parse_size("0").value == 0u);
}

TEST_CASE("units: a time is a whole number and a unit") {
  CHECK(parse_time("250ms").value == 250ms);
  CHECK(parse_time("20s").value == 20s);
  CHECK(parse_time("5min").value == 5min);
  CHECK(parse_time("12h").value == 12h);
  CHECK(parse_time("30d").value == 720h);
}

TEST_CASE("units: only a time of 0 goes without a unit") {
  CHECK(parse_time("0").value == 0ms);
  CHECK(parse_time("20").error == "lacks a unit, one of d, h, min, s, ms");
}

TEST_CASE("units: an unknown unit is named beside the known ones") {
  CHECK(parse_size("64kb").error == "unit \"kb\" is none of GiB, MiB, KiB, B, GB, MB, KB");
  CHECK(parse_size("64 KiB").error == "unit \" KiB\" is none of GiB, MiB, KiB, B, GB, MB, KB");
  CHECK(parse_size("0x40").error == "unit \"x40\" is none of GiB, MiB, KiB, B, GB, MB, KB");
  CHECK(parse_time("5m").error == "unit \"m\" is none of d, h, min, s, ms");
}

TEST_CASE("units: what is no whole number is refused") {
  for (const char* text : {"", "KiB", "-1", "+1", " 1", "many"}) {
    CAPTURE(text);
    CHECK(parse_size(text).error == "does not begin with a number");
    CHECK_FALSE(parse_size(text).value.has_value());
    CHECK(parse_time(text).error == "does not begin with a number");
  }
  CHECK(parse_size("1.5GiB").error == "not a whole number");
  CHECK(parse_time("0.5s").error == "not a whole number");
}

TEST_CASE("units: what does not fit is refused, not wrapped") {
  CHECK(parse_size("18446744073709551615").value == kUint64Max);
  CHECK(parse_size("18446744073709551616").error == "too large");
  CHECK(parse_size("17179869183GiB").value == kUint64Max - ((1u << 30) - 1));
  CHECK(parse_size("17179869184GiB").error == "too large");
  CHECK(parse_time("9223372036854775807ms").value == milliseconds::max());
  CHECK(parse_time("9223372036854775808ms").error == "too large");
  CHECK(parse_time("106751991167d").value.has_value());
  CHECK(parse_time("106751991168d").error == "too large");
}

TEST_CASE("units: the largest unit without a fraction is shown") {
  CHECK(format_size(0) == "0");
  CHECK(format_size(1'000) == "1000B");
  CHECK(format_size(1'536) == "1536B");
  CHECK(format_size(65'536) == "64KiB");
  CHECK(format_size(5ull << 30) == "5GiB");
  CHECK(format_time(0ms) == "0");
  CHECK(format_time(1'500ms) == "1500ms");
  CHECK(format_time(90s) == "90s");
  CHECK(format_time(90min) == "90min");
  CHECK(format_time(24h) == "1d");
}

TEST_CASE("units: what is shown reads back as the same") {
  for (std::uint64_t size = 1; size < kUint64Max / 7; size = size * 7 + size % 5) {
    CHECK(parse_size(format_size(size)).value == size);
    CHECK(parse_size(format_size(size << 3)).value == size << 3);
  }
  for (const milliseconds time : {0ms, 1ms, 999ms, 1'000ms, 59'000ms, 3'600'000ms, 86'400'001ms, milliseconds::max()}) {
    CHECK(parse_time(format_time(time)).value == time);
  }
}

}  // namespace
}  // namespace cproto
