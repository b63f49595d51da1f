// How many of something come in a second, over the last few seconds. Costs a comparison each time.
#pragma once

#include <algorithm>
#include <cstdint>

#include "proto/time.h"

namespace cproto {

class Rate {
 public:
  explicit Rate(Instant now) : began_(now) {}

  void add(Instant now, std::uint64_t count) {
    roll(now);
    count_ += count;
  }
  // Of the span before this one and what there is of this one.
  double per_second(Instant now) {
    roll(now);
    const Duration lasted = now - began_ + (has_last_ ? kSpan : 0s);
    return static_cast<double>(count_ + last_) / std::chrono::duration<double>(std::max<Duration>(lasted, 1s)).count();
  }

 private:
  static constexpr Duration kSpan = 5s;

  void roll(Instant now) {
    if (now - began_ < kSpan) return;
    // What is older than two spans says nothing about now.
    has_last_ = true;
    last_ = now - began_ < 2 * kSpan ? count_ : 0;
    count_ = 0;
    began_ = now;
  }

  Instant began_;
  std::uint64_t count_ = 0;
  std::uint64_t last_ = 0;
  bool has_last_ = false;
};

}  // namespace cproto
