#include "proto/seq.h"

#include <doctest/doctest.h>

using namespace cproto;

TEST_CASE("seq: the wire carries the low 16 bits") {
  CHECK(to_wire(Seq{1}).value == 1);
  CHECK(to_wire(Seq{65'535}).value == 65'535);
  CHECK(to_wire(Seq{65'536}).value == 0);
  CHECK(to_wire(Seq{(7ull << 32) + 65'537}).value == 1);
}

TEST_CASE("seq: numbers count and compare by all their 64 bits") {
  CHECK(Seq{65'536} > Seq{65'535});
  CHECK(Seq{65'535}.next() == Seq{65'536});
  CHECK(Seq{10} + 5 == Seq{15});
  CHECK(Seq{70'000} - Seq{4'464} == 65'536);
}

TEST_CASE("seq: unwrap finds the one number among the 65,536 that end with the highest possible") {
  const Seq highest{200'000};
  for (std::uint64_t behind = 0; behind < 65'536; ++behind) {
    const Seq number{highest.value - behind};
    REQUIRE(unwrap(to_wire(number), highest) == number);
  }
}

TEST_CASE("seq: one number more than 65,536 behind is taken for the newest") {
  CHECK(unwrap(to_wire(Seq{200'000 - 65'536}), Seq{200'000}) == Seq{200'000});
}

TEST_CASE("seq: unwrap knows no number before the session's first") {
  CHECK(unwrap({1}, Seq{10}) == Seq{1});
  CHECK(unwrap({0}, Seq{10}) == std::nullopt);
  CHECK(unwrap({11}, Seq{10}) == std::nullopt);
  CHECK(unwrap({65'535}, Seq{10}) == std::nullopt);
  CHECK(unwrap({0}, Seq{65'536}) == Seq{65'536});
  CHECK(unwrap({0}, Seq{65'535}) == std::nullopt);
}
