#include "daemon/counters.h"

#include <doctest/doctest.h>

#include <string>

#include "daemon/rate.h"

using namespace cproto;

TEST_CASE("histogram: an observation is in the first bucket that holds it") {
  Histogram<2> histogram({1.0, 10.0});
  for (const double value : {0.5, 1.0, 2.0, 11.0}) histogram.observe(value);
  CHECK(histogram.in(0) == 2);
  CHECK(histogram.in(1) == 1);
  CHECK(histogram.count() == 4);
  CHECK(histogram.sum() == doctest::Approx(14.5));
}

TEST_CASE("rate: it is of the last seconds") {
  Instant now{};
  Rate rate(now);
  CHECK(rate.per_second(now) == 0);
  for (int i = 0; i < 40; ++i) rate.add(now += 250ms, 25);
  CHECK(rate.per_second(now) == doctest::Approx(100).epsilon(0.1));
}

TEST_CASE("rate: after a while of nothing it is nothing") {
  Instant now{};
  Rate rate(now);
  rate.add(now, 1000);
  CHECK(rate.per_second(now += 2s) > 0);
  CHECK(rate.per_second(now + 20s) == 0);
}

TEST_CASE("refusals: the last of a client is kept until it is let in") {
  Refusals refusals;
  CHECK(refusals.find("web-1") == nullptr);
  refusals.note(Instant{}, "web-1", ErrorCode::disk_full, "a");
  refusals.note(Instant{} + 1s, "web-1", ErrorCode::unknown_session, "b");
  REQUIRE(refusals.find("web-1") != nullptr);
  CHECK(refusals.find("web-1")->code == ErrorCode::unknown_session);
  CHECK(refusals.find("web-1")->peer == "b");
  refusals.clear("web-1");
  CHECK(refusals.find("web-1") == nullptr);
}

TEST_CASE("refusals: of many clients the oldest are let go") {
  Refusals refusals;
  for (int i = 0; i < 1500; ++i)
    refusals.note(Instant{} + std::chrono::seconds(i), "c" + std::to_string(i), ErrorCode::bad_channel, "");
  CHECK(refusals.find("c499") == nullptr);
  CHECK(refusals.find("c500") != nullptr);
  CHECK(refusals.find("c1499") != nullptr);
}

TEST_CASE("refusals: what happens again and again is due to be said once in a while, with how often") {
  Refusals refusals;
  const auto at = [&](int minute, ErrorCode code) {
    return refusals.note(Instant{} + std::chrono::minutes(minute), "web-1", code, "a");
  };
  CHECK(at(0, ErrorCode::disk_full) == 1);
  CHECK(at(1, ErrorCode::disk_full) == 0);
  CHECK(at(2, ErrorCode::disk_full) == 0);
  CHECK(at(11, ErrorCode::disk_full) == 3);
  CHECK(at(12, ErrorCode::inbox_full) == 1);
  refusals.clear("web-1");
  CHECK(at(13, ErrorCode::inbox_full) == 1);
}
