// Time as the protocol sees it: handed in, never read. There is no now() here, so nothing below this line can have a
// clock of its own, and a simulated week is as real as a measured second.
#pragma once

#include <chrono>
#include <cstdint>

namespace cproto {

struct Clock {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = std::chrono::nanoseconds;
  using time_point = std::chrono::time_point<Clock>;
  static constexpr bool is_steady = true;
};

using Duration = Clock::duration;
using Instant = Clock::time_point;

// "No deadline": later than every other instant. Never add to it.
inline constexpr Instant kNever = Instant::max();

using namespace std::chrono_literals;

}  // namespace cproto
