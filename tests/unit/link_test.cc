#include "proto/link.h"

#include <doctest/doctest.h>

#include <string>

#include "tests/support/frames.h"

using namespace cproto;
using namespace cproto::test;
using Kind = Link::Item::Kind;
using Silence = Link::Silence;

namespace {

constexpr Instant at(Duration time) { return Instant(time); }

Link established(Transport transport = Transport::stream) {
  Link link(transport);
  link.establish(at(0s), 64 * 1024, kKeepAlive);
  return link;
}

// What the first item of `input` is; the rest is read too.
Link::Item hear(Link& link, Instant now, const Bytes& input) {
  link.receive(input);
  const Link::Item first = link.next(now);
  if (first.kind == Kind::failed) return first;
  while (link.next(now).kind != Kind::none) {
  }
  return first;
}

}  // namespace

TEST_CASE("link: intact frames pass") {
  Link link = established();
  CHECK(hear(link, at(1s), data(1, "x")).kind == Kind::frame);
  CHECK(link.damaged() == 0);
}

TEST_CASE("link: before the handshake the first damage ends a stream") {
  Link link(Transport::stream);
  const auto item = hear(link, at(0s), damaged(data(1, "x")));
  CHECK(item.kind == Kind::failed);
  CHECK(item.error == ErrorCode::bad_checksum);
}

TEST_CASE("link: before the handshake 4 KiB are the most") {
  Link link(Transport::stream);
  CHECK(hear(link, at(0s), data(1, std::string(4'096, 'x'))).kind == Kind::frame);
  const auto item = hear(link, at(0s), data(1, std::string(4'097, 'x')));
  CHECK(item.kind == Kind::failed);
  CHECK(item.error == ErrorCode::frame_too_large);
}

TEST_CASE("link: later it is the agreed packet, and never less than a control frame may have") {
  Link large = established();
  CHECK(hear(large, at(0s), data(1, std::string(64 * 1024, 'x'))).kind == Kind::frame);
  CHECK(hear(large, at(0s), data(1, std::string(64 * 1024 + 1, 'x'))).error == ErrorCode::frame_too_large);
  Link small(Transport::stream);
  small.establish(at(0s), 64, kKeepAlive);
  CHECK(hear(small, at(0s), data(1, std::string(4'096, 'x'))).kind == Kind::frame);
}

TEST_CASE("link: one damaged frame is borne") {
  Link link = established();
  const auto item = hear(link, at(0s), damaged(data(1, "x")));
  CHECK(item.kind == Kind::damaged);
  CHECK(hear(link, at(0s), data(1, "x")).kind == Kind::frame);
  CHECK(link.damaged() == 1);
}

TEST_CASE("link: two damaged in a row are lost framing") {
  Link link = established();
  CHECK(hear(link, at(0s), damaged(data(1, "x"))).kind == Kind::damaged);
  const auto item = hear(link, at(0s), damaged(data(2, "x")));
  CHECK(item.kind == Kind::failed);
  CHECK(item.error == ErrorCode::framing_lost);
}

TEST_CASE("link: an impossible length behind a damaged frame is lost framing") {
  Link link = established();
  Bytes input = join({damaged(data(1, "x")), data(2, "x")});
  input[kHeaderSize + 1] = 0xff;
  link.receive(input);
  CHECK(link.next(at(0s)).kind == Kind::damaged);
  const auto item = link.next(at(0s));
  CHECK(item.kind == Kind::failed);
  CHECK(item.error == ErrorCode::framing_lost);
}

TEST_CASE("link: the fourth damaged frame within a minute ends it") {
  Link link = established();
  for (int i = 0; i < 3; ++i) {
    REQUIRE(hear(link, at(i * 15s), damaged(data(1, "x"))).kind == Kind::damaged);
    REQUIRE(hear(link, at(i * 15s), data(1, "x")).kind == Kind::frame);
  }
  SUBCASE("within") {
    const auto item = hear(link, at(59s), damaged(data(1, "x")));
    CHECK(item.kind == Kind::failed);
    CHECK(item.error == ErrorCode::framing_lost);
  }
  SUBCASE("a minute after the first") { CHECK(hear(link, at(60s), damaged(data(1, "x"))).kind == Kind::damaged); }
}

TEST_CASE("link: a damaged datagram is passed over, however many there are") {
  Link link = established(Transport::datagram);
  for (int i = 0; i < 10; ++i) REQUIRE(hear(link, at(0s), damaged(data(1, "x"))).kind == Kind::damaged);
  Bytes frame = data(1, "x");
  frame[0] = 0xff;
  CHECK(hear(link, at(0s), frame).kind == Kind::damaged);
  CHECK(hear(link, at(0s), data(1, "x")).kind == Kind::frame);
}

TEST_CASE("link: a silent peer is asked twice and gone after three intervals") {
  Link link = established();
  CHECK(link.deadline() == at(20s));
  CHECK(link.check_silence(at(19s)) == Silence::none);
  CHECK(link.check_silence(at(20s)) == Silence::ask);
  CHECK(link.check_silence(at(40s)) == Silence::ask);
  CHECK(link.check_silence(at(60s)) == Silence::gone);
}

TEST_CASE("link: any whole frame is a sign of life") {
  Link link = established();
  CHECK(link.check_silence(at(20s)) == Silence::ask);
  CHECK(link.check_silence(at(40s)) == Silence::ask);
  hear(link, at(59s), data(1, "x"));
  CHECK(link.deadline() == at(79s));
  CHECK(link.check_silence(at(79s)) == Silence::ask);
  CHECK(link.check_silence(at(99s)) == Silence::ask);
  CHECK(link.check_silence(at(119s)) == Silence::gone);
}

TEST_CASE("link: in the middle of a frame that takes long, but not too long, the other side is shown a sign of life") {
  Link link = established();
  const Bytes frame = data(1, std::string(64 * 1024, 'x'));
  const std::size_t step = frame.size() / 19;
  Instant now = at(0s);
  for (std::size_t begin = 0; begin < frame.size(); begin += step) {
    link.receive(ByteView(frame).subspan(begin, std::min(step, frame.size() - begin)));
    const bool is_whole = begin + step >= frame.size();
    REQUIRE(link.next(now).kind == (is_whole ? Kind::frame : Kind::none));
    now += 20s;
    if (!is_whole) REQUIRE(link.check_silence(now) == Silence::ask);
  }
}

TEST_CASE("link: what came right behind a frame counts as what comes later") {
  Link link = established();
  const Bytes frame = data(2, std::string(64 * 1024, 'x'));
  hear(link, at(0s), join({data(1, "x"), Bytes(frame.begin(), frame.begin() + 4000)}));
  CHECK(link.check_silence(at(20s)) == Silence::ask);
  CHECK(link.check_silence(at(40s)) == Silence::ask);
  CHECK(link.check_silence(at(60s)) == Silence::ask);
  CHECK(link.check_silence(at(80s)) == Silence::gone);
}

TEST_CASE("link: a frame into which nothing comes but questions is not waited for") {
  // Of a length that was damaged on the way. What it swallows is alive, and asks and answers once an interval.
  Link link = established();
  const Bytes frame = data(1, std::string(64 * 1024, 'x'));
  hear(link, at(0s), Bytes(frame.begin(), frame.begin() + 1000));
  const Bytes question = keep_alive(KeepAlive::ask);
  Silence silence = Silence::none;
  int intervals = 0;
  for (; silence != Silence::gone && intervals < 100; ++intervals) {
    for (int i = 0; i < 2; ++i) {
      link.receive(question);
      REQUIRE(link.next(at((intervals + 1) * 20s)).kind == Kind::none);
    }
    silence = link.check_silence(at((intervals + 1) * 20s));
  }
  CHECK(intervals == 3);
}

TEST_CASE("link: who is not read is not called silent, and is shown a sign of life all the same") {
  Link link = established();
  link.set_reading(false);
  for (int i = 1; i <= 10; ++i) REQUIRE(link.check_silence(at(i * 20s)) == Silence::ask);
  link.set_reading(true);
  CHECK(link.check_silence(at(219s)) == Silence::none);
  CHECK(link.check_silence(at(220s)) == Silence::ask);
  CHECK(link.check_silence(at(240s)) == Silence::ask);
  CHECK(link.check_silence(at(260s)) == Silence::ask);
  CHECK(link.check_silence(at(280s)) == Silence::gone);
}

TEST_CASE("link: who is read for moments only is shown a sign of life as often as any other") {
  Link link = established();
  int asked = 0;
  for (int second = 1; second <= 200; ++second) {
    link.set_reading(second % 2 == 0);
    asked += link.check_silence(at(second * 1s)) == Silence::ask ? 1 : 0;
  }
  CHECK(asked == 10);
}

TEST_CASE("link: nobody is silent before the handshake") {
  Link link(Transport::stream);
  link.set_reading(false);
  link.set_reading(true);
  CHECK(link.deadline() == kNever);
}
