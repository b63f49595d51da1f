#include "client/backoff.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace cproto;
using namespace cproto::client;

TEST_CASE("back-off: the ceiling doubles from 250 ms to 30 s, and the wait is anywhere below it") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Backoff backoff{Random(seed)};
    Duration ceiling = 250ms;
    for (int attempt = 0; attempt < 12; ++attempt) {
      CHECK(backoff.ceiling() == ceiling);
      const Duration wait = backoff.next();
      CHECK(wait >= 0ns);
      CHECK(wait <= ceiling);
      ceiling = std::min<Duration>(ceiling * 2, 30s);
    }
    CHECK(ceiling == 30s);
  }
}

TEST_CASE("back-off: full jitter uses the whole range") {
  Duration lowest = 30s;
  Duration highest = 0s;
  Backoff backoff{Random(7)};
  for (int i = 0; i < 8; ++i) (void)backoff.next();
  for (int i = 0; i < 1000; ++i) {
    const Duration wait = backoff.next();
    lowest = std::min(lowest, wait);
    highest = std::max(highest, wait);
  }
  CHECK(lowest < 1s);
  CHECK(highest > 29s);
}

TEST_CASE("back-off: a durable message begins it anew") {
  Backoff backoff{Random(1)};
  for (int i = 0; i < 5; ++i) (void)backoff.next();
  backoff.reset();
  CHECK(backoff.next() <= 250ms);
}
