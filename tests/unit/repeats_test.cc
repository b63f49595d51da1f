#include "daemon/repeats.h"

#include <doctest/doctest.h>

using namespace cproto;

namespace {

constexpr Instant kBegin{};

std::string said(const std::optional<std::string>& line) { return line ? "said" + *line : "counted"; }

}  // namespace

TEST_CASE("repeats: the first is said, those within a minute are counted, and the next line says how many") {
  Repeats repeats;
  CHECK(said(repeats.note(kBegin)) == "said");
  CHECK(said(repeats.note(kBegin + 1s)) == "counted");
  CHECK(said(repeats.note(kBegin + 59s)) == "counted");
  CHECK(said(repeats.note(kBegin + 60s)) == "said; 2 more since the last such line");
  CHECK(said(repeats.note(kBegin + 61s)) == "counted");
  CHECK(said(repeats.note(kBegin + 200s)) == "said; 1 more since the last such line");
  CHECK(said(repeats.note(kBegin + 300s)) == "said");
}

TEST_CASE("repeats: so many a minute are said each") {
  Repeats repeats(3);
  for (int i = 0; i < 3; ++i) CHECK(said(repeats.note(kBegin + i * 1s)) == "said");
  for (int i = 0; i < 2000; ++i) CHECK(said(repeats.note(kBegin + 10s)) == "counted");
  CHECK(said(repeats.note(kBegin + 60s)) == "said; 2,000 more since the last such line");
  CHECK(said(repeats.note(kBegin + 61s)) == "said");
}
