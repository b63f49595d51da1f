#include "proto/rtt.h"

#include <doctest/doctest.h>

using namespace cproto;

TEST_CASE("rtt: a second before anything was measured") {
  const RttEstimator rtt;
  CHECK(rtt.rto() == 1s);
  CHECK(rtt.smoothed() == 0s);
}

TEST_CASE("rtt: the first measurement counts whole, with half of it as variation") {
  RttEstimator rtt;
  rtt.sample(2s);
  CHECK(rtt.smoothed() == 2s);
  CHECK(rtt.rto() == 6s);
}

TEST_CASE("rtt: later ones count an eighth and a quarter") {
  RttEstimator rtt;
  rtt.sample(2s);
  rtt.sample(4s);
  CHECK(rtt.smoothed() == 2'250ms);           // 7/8 of 2 s and 1/8 of 4 s
  CHECK(rtt.rto() == 2'250ms + 4 * 1'250ms);  // 3/4 of 1 s and 1/4 of 2 s
}

TEST_CASE("rtt: the timeout stays between a second and a minute") {
  RttEstimator rtt;
  rtt.sample(1ms);
  CHECK(rtt.rto() == 1s);
  rtt.sample(1h);
  CHECK(rtt.rto() == 60s);
}

TEST_CASE("rtt: each expiry doubles the wait, a measurement ends that") {
  RttEstimator rtt;
  rtt.sample(100ms);
  rtt.back_off();
  rtt.back_off();
  CHECK(rtt.rto() == 4s);
  for (int i = 0; i < 10; ++i) rtt.back_off();
  CHECK(rtt.rto() == 60s);
  rtt.sample(100ms);
  CHECK(rtt.rto() == 1s);
}
