#include "daemon/partial_frames.h"

#include <doctest/doctest.h>

using namespace cproto;

namespace {

struct Holder final : PartialFrames::Holder {
  void on_overload() override { ++times; }
  int times = 0;
};

}  // namespace

TEST_CASE("partial frames: the one that has been unfinished for longest goes") {
  PartialFrames frames(100);
  Holder a;
  Holder b;
  Holder c;
  frames.note(a, 40, false);
  frames.note(b, 40, false);
  frames.note(a, 50, true);
  CHECK(frames.bytes() == 90);
  frames.note(c, 20, false);
  CHECK(a.times == 1);
  CHECK(b.times == 0);
  CHECK(frames.bytes() == 60);
  CHECK(frames.overloads() == 1);
  for (Holder* holder : {&b, &c}) frames.note(*holder, 0, false);
  CHECK(frames.bytes() == 0);
}

TEST_CASE("partial frames: who completes its frames is not the oldest") {
  PartialFrames frames(100);
  Holder busy;
  Holder slow;
  frames.note(busy, 30, false);
  frames.note(slow, 30, false);
  frames.note(busy, 30, false);  // of another frame
  frames.note(busy, 80, true);
  CHECK(slow.times == 1);
  CHECK(busy.times == 0);
  frames.note(busy, 0, false);
}

TEST_CASE("partial frames: one frame always finds room") {
  PartialFrames frames(100);
  Holder only;
  frames.note(only, 1'000, false);
  CHECK(only.times == 0);
  frames.note(only, 0, false);
}
