// How long to wait before the next attempt: full jitter under a ceiling that doubles from 250 ms to 30 s, so that a
// thousand clients that lost their server together do not come back together.
#pragma once

#include "proto/random.h"
#include "proto/time.h"

namespace cproto::client {

inline constexpr Duration kBackoffFirst = 250ms;
inline constexpr Duration kBackoffMax = 30s;

class Backoff {
 public:
  explicit Backoff(Random random) : random_(random) {}

  // The wait before the next attempt; the one after that may be longer.
  Duration next();
  // Something became durable: the path is good again.
  void reset() { ceiling_ = kBackoffFirst; }
  Duration ceiling() const { return ceiling_; }

 private:
  Random random_;
  Duration ceiling_ = kBackoffFirst;
};

}  // namespace cproto::client
