#include "proto/codec.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/frames.h"

using namespace cproto;
using namespace cproto::test;
using Status = Decoder::Status;

namespace {

std::string text(const Decoder::Result& result) { return std::string(as_text(result.frame.payload)); }

// Feeds `bytes` in pieces of `step` and returns the payloads that came out; "!" stands for damage.
std::vector<std::string> decode_in_steps(Decoder& decoder, ByteView bytes, std::size_t step) {
  std::vector<std::string> payloads;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    decoder.feed(bytes.subspan(at, std::min(step, bytes.size() - at)));
    for (auto result = decoder.next(); result.status != Status::need_more; result = decoder.next()) {
      REQUIRE(result.status != Status::too_large);
      payloads.push_back(result.status == Status::frame ? text(result) : "!");
    }
  }
  return payloads;
}

}  // namespace

TEST_CASE("codec: whole frames are views of the input") {
  Decoder decoder(Transport::stream);
  const Bytes input = join({data(1, "one"), data(2, "")});
  decoder.feed(input);
  const auto first = decoder.next();
  REQUIRE(first.status == Status::frame);
  CHECK(first.frame.type == FrameType::data);
  CHECK(first.frame.seq == WireSeq{1});
  CHECK(first.frame.whole.data() == input.data());
  CHECK(first.frame.payload.data() == input.data() + kHeaderSize);
  CHECK(text(first) == "one");
  const auto second = decoder.next();
  REQUIRE(second.status == Status::frame);
  CHECK(second.frame.payload.empty());
  CHECK(decoder.next().status == Status::need_more);
}

TEST_CASE("codec: frames come out the same however the bytes are cut") {
  const Bytes input = join({data(1, "one"), data(2, ""), data(3, "three"), damaged(data(4, "four")), data(5, "five")});
  const std::vector<std::string> expected{"one", "", "three", "!", "five"};
  for (std::size_t step = 1; step <= input.size(); ++step) {
    Decoder decoder(Transport::stream);
    REQUIRE(decode_in_steps(decoder, input, step) == expected);
  }
}

TEST_CASE("codec: a frame split over two inputs lives until the next one") {
  const Bytes frame = data(1, "split in two");
  Decoder decoder(Transport::stream);
  decoder.feed(ByteView(frame).first(5));
  CHECK(decoder.next().status == Status::need_more);
  const Bytes rest = join({Bytes(frame.begin() + 5, frame.end()), data(2, "x")});
  decoder.feed(rest);
  const auto split = decoder.next();
  REQUIRE(split.status == Status::frame);
  CHECK(decoder.next().status == Status::frame);
  CHECK(text(split) == "split in two");
}

TEST_CASE("codec: an input of nothing changes nothing") {
  const Bytes frame = data(1, "x");
  Decoder decoder(Transport::stream);
  decoder.feed(ByteView(frame).first(3));
  CHECK(decoder.next().status == Status::need_more);
  decoder.feed({});
  CHECK(decoder.next().status == Status::need_more);
  decoder.feed(ByteView(frame).subspan(3));
  CHECK(decoder.next().status == Status::frame);
}

TEST_CASE("codec: a payload of the largest size is read, one byte more is not") {
  Decoder decoder(Transport::stream);
  decoder.set_payload_max(100);
  const Bytes good = data(1, std::string(100, 'x'));
  decoder.feed(good);
  CHECK(decoder.next().status == Status::frame);
  CHECK(decoder.next().status == Status::need_more);
  const Bytes bad = data(2, std::string(101, 'x'));
  decoder.feed(bad);
  CHECK(decoder.next().status == Status::too_large);
}

TEST_CASE("codec: too large a length is known when the header is there, whole or byte by byte") {
  const Bytes frame = data(1, std::string(kHandshakePayloadMax + 1, 'x'));
  Decoder decoder(Transport::stream);
  for (std::size_t i = 0; i + 1 < kHeaderSize; ++i) {
    decoder.feed(ByteView(frame).subspan(i, 1));
    REQUIRE(decoder.next().status == Status::need_more);
  }
  decoder.feed(ByteView(frame).subspan(kHeaderSize - 1, 1));
  CHECK(decoder.next().status == Status::too_large);
}

TEST_CASE("codec: the beginning of what a stranger said can be looked at") {
  Decoder decoder(Transport::stream);
  const Bytes request = join({Bytes(as_bytes("GET / HTTP/1.1\r\n").begin(), as_bytes("GET / HTTP/1.1\r\n").end())});
  SUBCASE("whole") { decoder.feed(request); }
  SUBCASE("in two parts") {
    decoder.feed(ByteView(request).first(4));
    CHECK(decoder.next().status == Status::need_more);
    decoder.feed(ByteView(request).subspan(4));
  }
  CHECK(decoder.next().status == Status::too_large);
  CHECK(as_text(decoder.unread()).substr(0, 4) == "GET ");
}

TEST_CASE("codec: on a datagram transport a frame does not go on in the next input") {
  const Bytes frame = data(1, "cut short");
  Decoder decoder(Transport::datagram);
  decoder.feed(ByteView(frame).first(15));
  CHECK(decoder.next().status == Status::damaged);
  CHECK(decoder.next().status == Status::need_more);
  const Bytes next = data(2, "whole");
  decoder.feed(next);
  CHECK(decoder.next().status == Status::frame);
}

TEST_CASE("codec: a datagram with a damaged length is one damaged frame and no more") {
  Decoder decoder(Transport::datagram);
  Bytes frame = data(1, "a length can be hit as well");
  frame[0] ^= 0x80;
  decoder.feed(frame);
  CHECK(decoder.next().status == Status::damaged);
  CHECK(decoder.next().status == Status::need_more);
  const Bytes next = data(2, "whole");
  decoder.feed(next);
  const auto result = decoder.next();
  CHECK(result.status == Status::frame);
  CHECK(text(result) == "whole");
}
