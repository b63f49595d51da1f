#include "proto/timers.h"

#include <doctest/doctest.h>

using namespace cproto;

namespace {
enum class Name { first, second, count };
constexpr Instant at(Duration time) { return Instant(time); }
}  // namespace

TEST_CASE("timers: nothing armed is never due") {
  TimerTable<Name> timers;
  CHECK(timers.next() == kNever);
  CHECK_FALSE(timers.is_armed(Name::first));
  CHECK_FALSE(timers.expire(Name::first, at(1h)));
}

TEST_CASE("timers: the next deadline is the earliest") {
  TimerTable<Name> timers;
  timers.arm(Name::first, at(3s));
  timers.arm(Name::second, at(2s));
  CHECK(timers.next() == at(2s));
  timers.stop(Name::second);
  CHECK(timers.next() == at(3s));
  timers.stop_all();
  CHECK(timers.next() == kNever);
}

TEST_CASE("timers: one that is due expires once") {
  TimerTable<Name> timers;
  timers.arm(Name::first, at(3s));
  CHECK_FALSE(timers.expire(Name::first, at(2'999ms)));
  CHECK(timers.expire(Name::first, at(3s)));
  CHECK_FALSE(timers.expire(Name::first, at(3s)));
}

TEST_CASE("timers: arming again moves the deadline, arming if stopped does not") {
  TimerTable<Name> timers;
  timers.arm(Name::first, at(3s));
  timers.arm_if_stopped(Name::first, at(1s));
  CHECK(timers.next() == at(3s));
  timers.arm(Name::first, at(1s));
  CHECK(timers.next() == at(1s));
  timers.arm_if_stopped(Name::second, at(500ms));
  CHECK(timers.next() == at(500ms));
}
