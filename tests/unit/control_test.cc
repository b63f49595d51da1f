#include "proto/control.h"

#include <doctest/doctest.h>

#include <initializer_list>

using namespace cproto;

namespace {

Ack an_ack() {
  return {.durable_through = {70'000},
          .received_through = {70'010},
          .limit_number = {80'000},
          .limit_bytes = 123'456'789,
          .is_final = true,
          .ranges = {{{70'012}, {70'012}}, {{70'020}, {70'030}}}};
}

Bytes encoded(const Ack& ack) {
  Bytes out;
  encode_ack(ack, out);
  return out;
}

}  // namespace

TEST_CASE("control: an ACK is read as it was written") {
  const auto read = decode_ack(encoded(an_ack()));
  REQUIRE(read);
  CHECK(read->durable_through == Seq{70'000});
  CHECK(read->received_through == Seq{70'010});
  CHECK(read->limit_number == Seq{80'000});
  CHECK(read->limit_bytes == 123'456'789);
  CHECK(read->is_final);
  CHECK(read->ranges == an_ack().ranges);
}

TEST_CASE("control: an ACK without ranges has 36 bytes") { CHECK(encoded(Ack{}).size() == 36); }

TEST_CASE("control: an ACK cut short anywhere is refused") {
  const Bytes whole = encoded(an_ack());
  for (std::size_t size = 0; size < whole.size(); ++size) REQUIRE_FALSE(decode_ack(ByteView(whole).first(size)));
}

TEST_CASE("control: an ACK that contradicts itself is refused") {
  Ack ack = an_ack();
  SUBCASE("durable before received") { ack.received_through = {69'999}; }
  SUBCASE("a range before what was received") { ack.ranges[0].first = {70'010}; }
  SUBCASE("a range that ends before it begins") { ack.ranges[1].last = {70'019}; }
  SUBCASE("ranges that overlap") { ack.ranges[1].first = {70'012}; }
  SUBCASE("ranges that touch") { ack.ranges[1].first = {70'013}; }
  SUBCASE("a range that touches what was received") { ack.ranges[0].first = {70'011}; }
  SUBCASE("more ranges than one ACK may carry") {
    ack.ranges.clear();
    for (std::uint64_t i = 0; i <= kAckRangesMax; ++i) ack.ranges.push_back({{80'000 + 2 * i}, {80'000 + 2 * i}});
  }
  CHECK_FALSE(decode_ack(encoded(ack)));
}

TEST_CASE("control: an ACK carries as many ranges as one may") {
  Ack ack = an_ack();
  ack.ranges.clear();
  for (std::uint64_t i = 0; i < kAckRangesMax; ++i) ack.ranges.push_back({{80'000 + 2 * i}, {80'000 + 2 * i}});
  CHECK(decode_ack(encoded(ack)));
}

TEST_CASE("control: an ACK carries refusals behind its ranges") {
  Ack ack{.durable_through = {9}, .received_through = {12}, .limit_number = {20}, .limit_bytes = 100, .ranges = {}};
  ack.ranges = {{{14}, {15}}};
  ack.refusals = {{ErrorCode::message_too_large, {3}}, {ErrorCode::kind_not_accepted, {7}}};
  const Bytes bytes = encoded(ack);
  CHECK(bytes.size() == 36 + 16 + 2 + 2 * 10);
  const auto read = decode_ack(bytes);
  REQUIRE(read);
  CHECK(read->ranges == ack.ranges);
  CHECK(read->refusals == ack.refusals);
  for (std::size_t size = 0; size < bytes.size(); ++size) CHECK_FALSE(decode_ack(ByteView(bytes).first(size)));
}

TEST_CASE("control: an ACK carries as many refusals as may wait, in ascending order") {
  Ack ack;
  for (std::uint64_t i = 1; i <= kRefusalsMax; ++i) ack.refusals.push_back({ErrorCode::message_too_large, {i}});
  SUBCASE("as many as may wait") { CHECK(decode_ack(encoded(ack))); }
  SUBCASE("one more") {
    ack.refusals.push_back({ErrorCode::message_too_large, {1'000}});
    CHECK_FALSE(decode_ack(encoded(ack)));
  }
  SUBCASE("one twice") {
    ack.refusals[1] = ack.refusals[0];
    CHECK_FALSE(decode_ack(encoded(ack)));
  }
}

TEST_CASE("control: flags of a later version are passed over") {
  Bytes bytes = encoded(Ack{});
  bytes[32] = 0xff;
  bytes[33] = 0xfc;
  const auto read = decode_ack(bytes);
  REQUIRE(read);
  CHECK_FALSE(read->is_final);
}

TEST_CASE("control: a KEEP-ALIVE asks or answers and nothing else") {
  for (const KeepAlive keep_alive : {KeepAlive::ask, KeepAlive::answer}) {
    Bytes out;
    encode_keep_alive(keep_alive, out);
    CHECK(decode_keep_alive(out) == keep_alive);
  }
  CHECK_FALSE(decode_keep_alive({}));
  CHECK_FALSE(decode_keep_alive(Bytes{2}));
}

TEST_CASE("control: a DISCONNECT is read as it was written") {
  Bytes out;
  encode_disconnect({Disconnect::End::pause, 5'000, {1ull << 40}}, out);
  const auto read = decode_disconnect(out);
  REQUIRE(read);
  CHECK(read->end == Disconnect::End::pause);
  CHECK(read->retry_after_ms == 5'000);
  CHECK(read->last == Seq{1ull << 40});
  for (std::size_t size = 0; size < out.size(); ++size) REQUIRE_FALSE(decode_disconnect(ByteView(out).first(size)));
}

TEST_CASE("control: a DISCONNECT ends the session or the connection and nothing else") {
  Bytes out;
  encode_disconnect({Disconnect::End::finish, 0, {1}}, out);
  for (const std::uint8_t end : std::initializer_list<std::uint8_t>{0, 3, 255}) {
    out[0] = end;
    CHECK_FALSE(decode_disconnect(out));
  }
}
