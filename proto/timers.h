// The named deadlines of one session and the earliest of them. A session has one next deadline; whoever hosts it needs
// no timer of its own per name.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "proto/time.h"

namespace cproto {

// `Name` is an enum class whose last enumerator is `count`.
template <class Name>
class TimerTable {
 public:
  TimerTable() { deadlines_.fill(kNever); }

  void arm(Name name, Instant deadline) { at(name) = deadline; }
  void arm_if_stopped(Name name, Instant deadline) {
    if (!is_armed(name)) arm(name, deadline);
  }
  void stop(Name name) { at(name) = kNever; }
  void stop_all() { deadlines_.fill(kNever); }

  bool is_armed(Name name) const { return deadlines_[index(name)] != kNever; }

  // Whether `name` is due at `now`; if so it is stopped.
  bool expire(Name name, Instant now) {
    if (at(name) > now) return false;
    stop(name);
    return true;
  }

  Instant next() const { return *std::min_element(deadlines_.begin(), deadlines_.end()); }

 private:
  static std::size_t index(Name name) { return static_cast<std::size_t>(name); }
  Instant& at(Name name) { return deadlines_[index(name)]; }

  std::array<Instant, static_cast<std::size_t>(Name::count)> deadlines_;
};

}  // namespace cproto
