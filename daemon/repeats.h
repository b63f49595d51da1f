// What happens again and again is said at first, and then counted: a line each up to so many a minute, and the next
// line that is due says how many there were between.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "config/wording.h"
#include "proto/time.h"

namespace cproto {

class Repeats {
 public:
  explicit Repeats(unsigned lines_a_minute = 1) : lines_max_(lines_a_minute) {}

  // It has happened. What goes behind the line: nothing, or how many were not said since the last one ("; …").
  // nullopt: no line, it is counted.
  std::optional<std::string> note(Instant now) {
    if (!since_ || now - *since_ >= kMinute) {
      since_ = now;
      lines_ = 0;
    }
    if (lines_ == lines_max_) {
      ++unsaid_;
      return std::nullopt;
    }
    ++lines_;
    const std::uint64_t unsaid = std::exchange(unsaid_, 0);
    return unsaid == 0 ? "" : "; " + grouped(unsaid) + " more since the last such line";
  }

 private:
  static constexpr Duration kMinute = 60s;

  unsigned lines_max_;
  unsigned lines_ = 0;  // in the minute since
  std::optional<Instant> since_;
  std::uint64_t unsaid_ = 0;
};

}  // namespace cproto
