#include "config/wording.h"

#include <doctest/doctest.h>

using namespace cproto;

TEST_CASE("wording: numbers have their thousands set apart") {
  CHECK(grouped(0) == "0");
  CHECK(grouped(999) == "999");
  CHECK(grouped(1000) == "1,000");
  CHECK(grouped(81004) == "81,004");
  CHECK(grouped(18446744073709551615u) == "18,446,744,073,709,551,615");
  CHECK(counted(1, {"line", "lines"}) == "1 line");
  CHECK(counted(0, {"line", "lines"}) == "0 lines");
  CHECK(counted_are(1, {"line", "lines"}) == "1 line is");
  CHECK(counted_are(81004, {"line", "lines"}) == "81,004 lines are");
}

TEST_CASE("wording: sizes have a digit behind the point where it says something") {
  CHECK(human_bytes(0) == "0 B");
  CHECK(human_bytes(1023) == "1,023 B");
  CHECK(human_bytes(1024) == "1 KiB");
  CHECK(human_bytes(100'000) == "97.7 KiB");
  CHECK(human_bytes(64u << 20) == "64 MiB");
  CHECK(human_bytes(std::uint64_t{5} << 40) == "5 TiB");
  CHECK(human_part(966'367'641, 1u << 30) == "0.8 of 1 GiB");
  CHECK(human_part((1u << 30) - 1, 1u << 30) == "0.9 of 1 GiB");
  CHECK(human_part(1u << 30, 1u << 30) == "1 of 1 GiB");
  CHECK(human_part(3, 500) == "3 of 500 B");
}

TEST_CASE("wording: times are as coarse as they are long") {
  CHECK(human_time(0s) == "1 ms");
  CHECK(human_time(40ms) == "40 ms");
  CHECK(human_time(300ms) == "0.3 s");
  CHECK(human_time(2s) == "2 s");
  CHECK(human_time(9949ms) == "9.9 s");
  CHECK(human_time(12s) == "12 s");
  CHECK(human_time(10min) == "10 min");
  CHECK(human_time(2h) == "2 h");
  CHECK(human_time(72h) == "3 d");
}

TEST_CASE("wording: foreign bytes cannot steer a terminal") {
  CHECK(printable("SSH-2.0-OpenSSH_9.2") == "SSH-2.0-OpenSSH_9.2");
  CHECK(printable(std::string_view("\x1b[31m\0\xff", 7)) == "\\x1b[31m\\x00\\xff");
  CHECK(printable("abcdef", 3) == "abc");
}

TEST_CASE("wording: a JSON string can hold any byte") {
  CHECK(json_string("a \"b\" \\ c") == R"("a \"b\" \\ c")");
  CHECK(json_string(std::string_view("\n\0\xe9", 3)) == R"("\u000a\u0000\u00e9")");
}

TEST_CASE("wording: a JSON object is its members in order") {
  CHECK(JsonObject().str() == "{}");
  CHECK(JsonObject().text("a", "b").number("n", 7).seconds("s", 1500ms).str() == R"({"a":"b","n":7,"s":1.500000})");
  CHECK(json_array({}) == "[]");
  CHECK(json_array({"1", "{}"}) == "[1,{}]");
}
