#include "proto/sender.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "tests/support/frames.h"

using namespace cproto;
using namespace cproto::test;

namespace {

constexpr std::size_t kAll = 1u << 30;
constexpr Instant at(Duration time) { return Instant(time); }

Sender attached(Transport transport = Transport::stream, const SynAck& terms = some_terms()) {
  Sender sender({.transport = transport});
  CHECK(sender.attach(terms));
  return sender;
}

void push(Sender& sender, int count, std::string_view text = "x") {
  for (int i = 0; i < count; ++i) sender.push(FrameType::data, as_bytes(text), true);
}

// The numbers on the wire of what goes out now: "1 2 3".
std::string numbers_in(ByteView bytes) {
  std::string text;
  for (const OwnedFrame& frame : frames_in(bytes)) {
    if (!text.empty()) text += ' ';
    text += std::to_string(frame.seq.value);
  }
  return text;
}
std::string take(Sender& sender, Instant now = {}, std::size_t bytes_max = kAll) {
  Bytes out;
  sender.take_new(now, out, sender.take_again(now, out, bytes_max));
  return numbers_in(out);
}
std::string take_again(Sender& sender, Instant now = {}) {
  Bytes out;
  sender.take_again(now, out, kAll);
  return numbers_in(out);
}

Ack an_ack(std::uint64_t durable, std::uint64_t received, std::vector<SeqRange> ranges = {}) {
  return {.durable_through = {durable},
          .received_through = {received},
          .limit_number = {durable + 100},
          .limit_bytes = 1u << 20,
          .is_final = false,
          .ranges = std::move(ranges)};
}

}  // namespace

TEST_CASE("sender: frames are numbered from 1 and go out once") {
  Sender sender = attached();
  CHECK(sender.push(FrameType::fragment, as_bytes("Hello "), false) == Seq{1});
  CHECK(sender.push(FrameType::data, as_bytes("World"), true) == Seq{2});
  Bytes out;
  sender.take_new({}, out, kAll);
  const auto frames = frames_in(out);
  REQUIRE(frames.size() == 2);
  CHECK(frames[0].type == FrameType::fragment);
  CHECK(as_text(frames[1].payload) == "World");
  CHECK(take(sender).empty());
  CHECK(sender.all_sent());
  CHECK(sender.in_flight() == 2);
}

TEST_CASE("sender: no more than a window is in flight") {
  SynAck terms = some_terms();
  terms.window_size = 5;
  terms.limit_number = {1'000};
  Sender sender = attached(Transport::stream, terms);
  push(sender, 8);
  CHECK(take(sender) == "1 2 3 4 5");
  CHECK_FALSE(sender.all_sent());
  CHECK(sender.on_ack({}, an_ack(2, 2)).is_news);
  CHECK(take(sender) == "6 7");
}

TEST_CASE("sender: what was received and is not durable stays in the window") {
  SynAck terms = some_terms();
  terms.window_size = 5;
  Sender sender = attached(Transport::stream, terms);
  push(sender, 8);
  take(sender);
  sender.on_ack({}, an_ack(0, 5));
  CHECK(take(sender).empty());
  CHECK_FALSE(sender.awaits_receipt());
  CHECK(sender.awaits_durability());
}

TEST_CASE("sender: the limits on numbers and bytes are kept") {
  SynAck terms = some_terms();
  terms.limit_number = {3};
  terms.limit_bytes = 1'000;
  Sender sender = attached(Transport::stream, terms);
  SUBCASE("numbers") {
    push(sender, 8);
    CHECK(take(sender) == "1 2 3");
  }
  SUBCASE("bytes of payload, headers not counted") {
    push(sender, 8, std::string(500, 'x'));
    CHECK(take(sender) == "1 2");
  }
}

TEST_CASE("sender: limits never shrink") {
  Sender sender = attached();
  push(sender, 8);
  Ack smaller = an_ack(0, 0);
  smaller.limit_number = {2};
  smaller.limit_bytes = 1;
  sender.on_ack({}, smaller);
  CHECK(take(sender) == "1 2 3 4 5 6 7 8");
}

TEST_CASE("sender: one frame may be in flight whatever the limits") {
  SynAck terms = some_terms();
  terms.limit_number = {0};
  terms.limit_bytes = 0;
  Sender sender = attached(Transport::stream, terms);
  push(sender, 3, std::string(500, 'x'));
  CHECK(take(sender) == "1");
  Ack same = an_ack(1, 1);
  same.limit_number = {0};
  same.limit_bytes = 0;
  sender.on_ack({}, same);
  CHECK(take(sender) == "2");
}

TEST_CASE("sender: a turn takes about as many bytes as it is allowed") {
  Sender sender = attached();
  push(sender, 10, std::string(89, 'x'));
  CHECK(take(sender, {}, 250) == "1 2 3");
  CHECK(take(sender, {}, 1) == "4");
  CHECK(take(sender, {}, 0).empty());
}

TEST_CASE("sender: only what is durable is forgotten, and messages are counted as they end") {
  Sender sender = attached();
  sender.push(FrameType::fragment, as_bytes("ab"), false);
  sender.push(FrameType::data, as_bytes("c"), true);
  sender.push(FrameType::data, as_bytes("defg"), true);
  take(sender);
  sender.on_ack({}, an_ack(1, 3));
  CHECK(sender.durable_through() == Seq{1});
  CHECK(sender.durable_messages() == 0);
  CHECK(sender.durable_bytes() == 2);
  sender.on_ack({}, an_ack(3, 3));
  CHECK(sender.durable_messages() == 2);
  CHECK(sender.durable_bytes() == 7);
  CHECK(sender.in_flight() == 0);
}

TEST_CASE("sender: an old ACK takes nothing back") {
  Sender sender = attached();
  push(sender, 5);
  take(sender);
  sender.on_ack({}, an_ack(4, 4));
  const auto outcome = sender.on_ack({}, an_ack(2, 3));
  CHECK(outcome.is_valid);
  CHECK_FALSE(outcome.is_news);
  CHECK(sender.durable_through() == Seq{4});
  CHECK(sender.received_through() == Seq{4});
}

TEST_CASE("sender: an ACK of what was never sent is not believed") {
  Sender sender = attached();
  push(sender, 5);
  CHECK_FALSE(sender.on_ack({}, an_ack(1, 1)).is_valid);
  take(sender);
  CHECK_FALSE(sender.on_ack({}, an_ack(5, 6)).is_valid);
  CHECK_FALSE(sender.on_ack({}, an_ack(1, 2, {{{4}, {6}}})).is_valid);
  CHECK_FALSE(
      sender.on_ack({}, an_ack(std::numeric_limits<std::uint64_t>::max(), std::numeric_limits<std::uint64_t>::max()))
          .is_valid);
  CHECK(sender.durable_through() == Seq{0});
}

TEST_CASE("sender: an ACK of what an earlier connection sent is good before it is sent again") {
  Sender sender = attached();
  push(sender, 5);
  take(sender);
  sender.detach();
  CHECK(sender.attach(some_terms()));
  CHECK(take(sender, {}, 1) == "1");
  const auto outcome = sender.on_ack({}, an_ack(4, 5));
  CHECK(outcome.is_valid);
  CHECK(outcome.is_news);
  CHECK(sender.durable_through() == Seq{4});
  CHECK(take(sender) == "5");
}

TEST_CASE("sender: there is room until enough waits or is kept") {
  Sender sender({.unsent_bytes_max = 100, .retained_bytes_max = 300});
  CHECK(sender.has_room());
  push(sender, 1, std::string(89, 'x'));
  CHECK_FALSE(sender.has_room());
  CHECK(sender.attach(some_terms()));
  take(sender);
  CHECK(sender.has_room());
  push(sender, 1, std::string(89, 'x'));
  take(sender);
  push(sender, 1, std::string(89, 'x'));
  take(sender);
  CHECK_FALSE(sender.has_room());
  sender.on_ack({}, an_ack(1, 1));
  CHECK(sender.has_room());
}

TEST_CASE("sender: a new connection is sent everything that is not durable") {
  Sender sender = attached();
  push(sender, 5);
  take(sender);
  sender.on_ack({}, an_ack(2, 4));
  sender.detach();
  SynAck terms = some_terms();
  terms.durable_through = {3};
  terms.durable_bytes = 3;
  terms.durable_messages = 3;
  CHECK(sender.attach(terms));
  CHECK(take(sender) == "4 5");
  CHECK(sender.retransmitted() == 2);
}

TEST_CASE("sender: a fresh one takes the place of one that is gone") {
  Sender sender({});
  SynAck terms = some_terms();
  terms.durable_through = {70'000};
  terms.durable_bytes = 5'000;
  terms.durable_messages = 60'000;
  terms.limit_number = {70'100};
  CHECK(sender.attach(terms));
  CHECK(sender.durable_bytes() == 5'000);
  CHECK(sender.durable_messages() == 60'000);
  CHECK(sender.push(FrameType::data, as_bytes("x"), true) == Seq{70'001});
  CHECK(take(sender) == "4465");
}

TEST_CASE("sender: a server that knows less than it acknowledged, or more than was sent, is not attached to") {
  Sender sender = attached();
  push(sender, 5);
  take(sender);
  sender.on_ack({}, an_ack(3, 3));
  SynAck terms = some_terms();
  SUBCASE("less") {
    terms.durable_through = {2};
    terms.durable_bytes = terms.durable_messages = 2;
  }
  SUBCASE("more") {
    terms.durable_through = {6};
    terms.durable_bytes = terms.durable_messages = 6;
  }
  SUBCASE("other bytes") {
    terms.durable_through = {4};
    terms.durable_bytes = 5;
    terms.durable_messages = 4;
  }
  SUBCASE("other messages") {
    terms.durable_through = {4};
    terms.durable_bytes = 4;
    terms.durable_messages = 3;
  }
  CHECK_FALSE(sender.attach(terms));
  // It keeps its state and goes on where the right one is found again.
  CHECK(sender.durable_through() == Seq{3});
  terms.durable_through = {3};
  terms.durable_bytes = terms.durable_messages = 3;
  CHECK(sender.attach(terms));
  CHECK(take(sender) == "4 5");
}

TEST_CASE("sender: on a stream what is named as damaged goes out again with all behind it, before anything new") {
  Sender sender = attached();
  push(sender, 5);
  take(sender);
  push(sender, 1);
  sender.on_damaged({3});
  CHECK_FALSE(sender.all_sent());
  CHECK(take(sender) == "3 4 5 6");
  CHECK(sender.retransmitted() == 3);
  CHECK(sender.all_sent());
}

TEST_CASE("sender: damage where nothing was sent means nothing") {
  Sender sender = attached();
  push(sender, 5);
  take(sender);
  sender.on_ack({}, an_ack(2, 2));
  sender.on_damaged({2});
  sender.on_damaged({6});
  sender.on_damaged({0});
  CHECK(take(sender).empty());
}

TEST_CASE("sender: what becomes durable before it could go out again does not") {
  Sender sender = attached();
  push(sender, 5);
  take(sender);
  sender.on_damaged({3});
  sender.on_ack({}, an_ack(4, 4));
  CHECK(take(sender) == "5");
  CHECK(sender.all_sent());
}

TEST_CASE("sender: on a stream the timer sends nothing again") {
  Sender sender = attached();
  push(sender, 3);
  take(sender);
  sender.on_timeout();
  CHECK(take(sender).empty());
  CHECK(sender.rto() == 2s);
}

TEST_CASE("sender: on datagrams the timer sends again what is not known to be received") {
  Sender sender = attached(Transport::datagram);
  push(sender, 6);
  take(sender);
  sender.on_ack(at(10ms), an_ack(1, 2, {{{4}, {5}}}));
  take_again(sender, at(10ms));
  sender.on_timeout();
  CHECK(take_again(sender, at(2s)) == "3 6");
}

TEST_CASE("sender: on datagrams a range received behind a gap sends the gap again, once a round trip") {
  Sender sender = attached(Transport::datagram);
  push(sender, 2);
  take(sender, at(0ms));
  sender.on_ack(at(50ms), an_ack(2, 2));  // a round trip of 50 ms
  push(sender, 6);
  take(sender, at(100ms));
  sender.on_ack(at(160ms), an_ack(2, 2, {{{5}, {5}}, {{7}, {7}}}));
  CHECK(take_again(sender, at(160ms)) == "3 4 6");
  sender.on_ack(at(170ms), an_ack(2, 2, {{{5}, {5}}, {{7}, {8}}}));
  CHECK(take_again(sender, at(170ms)).empty());
  sender.on_ack(at(260ms), an_ack(2, 3, {{{5}, {5}}, {{7}, {8}}}));
  CHECK(take_again(sender, at(260ms)) == "4 6");
}

TEST_CASE("sender: before a round trip was measured a gap is sent again after a second, not at every ACK") {
  Sender sender = attached(Transport::datagram);
  push(sender, 5);
  take(sender, at(0ms));
  sender.on_ack(at(10ms), an_ack(0, 0, {{{3}, {3}}}));
  CHECK(take_again(sender, at(10ms)).empty());
  sender.on_ack(at(1'001ms), an_ack(0, 0, {{{3}, {4}}}));
  CHECK(take_again(sender, at(1'001ms)) == "1 2");
  sender.on_ack(at(1'011ms), an_ack(0, 0, {{{3}, {5}}}));
  CHECK(take_again(sender, at(1'011ms)).empty());
}

TEST_CASE("sender: ranges of an ACK that was overtaken are harmless") {
  Sender sender = attached(Transport::datagram);
  push(sender, 12);
  take(sender);
  sender.on_ack(at(1s), an_ack(10, 10));
  CHECK(sender.on_ack(at(1s), an_ack(5, 5, {{{8}, {12}}})).is_valid);
  CHECK(sender.on_ack(at(1s), an_ack(5, 5, {{{7}, {8}}, {{10}, {11}}})).is_valid);
  CHECK(take_again(sender, at(2s)).empty());
  sender.on_ack(at(2s), an_ack(12, 12));
  CHECK(sender.in_flight() == 0);
}

TEST_CASE("sender: round trips are measured on what was received, and not on what was sent twice") {
  Sender sender = attached();
  push(sender, 3);
  take(sender, at(0s));
  sender.on_ack(at(100ms), an_ack(0, 3));
  CHECK(sender.smoothed_rtt() == 100ms);
  push(sender, 1);
  take(sender, at(200ms));
  sender.on_damaged({4});
  take(sender, at(300ms));
  sender.on_ack(at(900ms), an_ack(4, 4));
  CHECK(sender.smoothed_rtt() == 100ms);
}

TEST_CASE("sender: a range gives a round trip too, though something before it is missing") {
  Sender sender = attached(Transport::datagram);
  push(sender, 5);
  take(sender, at(0ms));
  sender.on_ack(at(80ms), an_ack(0, 0, {{{5}, {5}}}));
  CHECK(sender.smoothed_rtt() == 80ms);
}

TEST_CASE("sender: what more ranges would have told is no round trip") {
  Sender sender = attached(Transport::datagram);
  push(sender, 100);
  take(sender, at(0ms));
  std::vector<SeqRange> ranges;
  for (std::uint64_t number = 2; ranges.size() < kAckRangesMax; number += 2) ranges.push_back({{number}, {number}});
  sender.on_ack(at(80ms), an_ack(0, 0, ranges));
  sender.on_ack(at(900ms), an_ack(100, 100));
  CHECK(sender.smoothed_rtt() == 0ms);
}

TEST_CASE("sender: what was measured ends with the connection") {
  Sender sender = attached();
  push(sender, 1);
  take(sender, at(0s));
  sender.on_ack(at(3s), an_ack(1, 1));
  CHECK(sender.rto() > 1s);
  sender.detach();
  CHECK(sender.rto() == 1s);
}

TEST_CASE("sender: a smaller packet size cuts what is kept, and messages stay whole") {
  Sender sender = attached();
  sender.push(FrameType::header, as_bytes("hhhh"), false);
  sender.push(FrameType::data, as_bytes(std::string(150, 'a')), true);
  sender.push(FrameType::data, as_bytes(std::string(64, 'b')), true);
  sender.push(FrameType::data, {}, true);
  take(sender);  // it was in flight when the connection went
  sender.detach();
  sender.recut(64);
  CHECK(sender.attach(some_terms()));
  Bytes out;
  sender.take_new({}, out, kAll);
  std::string text;
  for (const OwnedFrame& frame : frames_in(out))
    text += frame_type_name(frame.type) + (" " + std::to_string(frame.payload.size())) + "; ";
  CHECK(text == "HEADER 4; FRAGMENT 64; FRAGMENT 64; DATA 22; DATA 64; DATA 0; ");
  CHECK(numbers_in(out) == "1 2 3 4 5 6");
  sender.on_ack({}, an_ack(6, 6));
  CHECK(sender.durable_messages() == 3);
  CHECK(sender.durable_bytes() == 4 + 150 + 64);
}

TEST_CASE("sender: its memory does not grow with what has passed through it") {
  Sender sender = attached();
  for (std::uint64_t i = 1; i <= 10'000; ++i) {
    push(sender, 1, std::string(100, 'x'));
    take(sender);
    REQUIRE(sender.on_ack({}, an_ack(i, i)).is_valid);
    REQUIRE(sender.has_room());
  }
  CHECK(sender.durable_through() == Seq{10'000});
  CHECK(sender.durable_bytes() == 1'000'000);
}
