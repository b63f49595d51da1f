#include "proto/frame.h"

#include <doctest/doctest.h>

#include <string>

using namespace cproto;

namespace {
Bytes hello_world() {
  Bytes frame;
  encode_frame(FrameType::data, {1}, as_bytes("Hello World"), frame);
  return frame;
}
}  // namespace

TEST_CASE("frame: DATA 1 \"Hello World\" is these bytes") {
  CHECK(to_hex(hello_world()) == "0000000b0100019ed5c41048656c6c6f20576f726c64");
}

TEST_CASE("frame: a header is read as it was written") {
  Bytes frame;
  encode_frame(FrameType::disconnect, {0xfedc}, as_bytes("abc"), frame);
  const FrameHeader header = decode_header(frame.data());
  CHECK(header.payload_size == 3);
  CHECK(header.type == FrameType::disconnect);
  CHECK(header.seq == WireSeq{0xfedc});
  CHECK(header.checksum == frame_checksum(frame.data(), 3));
}

TEST_CASE("frame: an empty payload leaves eleven bytes") {
  Bytes frame;
  encode_frame(FrameType::keep_alive, {}, {}, frame);
  CHECK(frame.size() == kHeaderSize);
  CHECK(decode_header(frame.data()).checksum == frame_checksum(frame.data(), 0));
}

TEST_CASE("frame: encoding appends to what is there") {
  Bytes out = hello_world();
  encode_frame(FrameType::data, {2}, as_bytes("!"), out);
  CHECK(out.size() == 22 + 12);
  CHECK(to_hex(ByteView(out).first(22)) == to_hex(hello_world()));
}

TEST_CASE("frame: every bit outside the checksum is covered by it") {
  const Bytes good = hello_world();
  const std::uint32_t checksum = frame_checksum(good.data(), 11);
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    if (bit / 8 >= 7 && bit / 8 < kHeaderSize) continue;
    Bytes bad = good;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
    REQUIRE(frame_checksum(bad.data(), 11) != checksum);
  }
}

TEST_CASE("frame: DATA, FRAGMENT and HEADER are numbered, the others are not") {
  for (unsigned type = 0; type < 256; ++type) {
    const bool expected = type == 0x01 || type == 0x08 || type == 0x09;
    REQUIRE(is_numbered(static_cast<FrameType>(type)) == expected);
  }
}

TEST_CASE("frame: the nine types have names and no other has") {
  const char* const names[] = {"DATA", "ACK",     "ERROR",    "KEEP-ALIVE", "DISCONNECT",
                               "SYN",  "SYN-ACK", "FRAGMENT", "HEADER"};
  for (unsigned type = 0; type < 256; ++type) {
    const char* name = frame_type_name(static_cast<FrameType>(type));
    if (type >= 1 && type <= 9) {
      REQUIRE(std::string(name) == names[type - 1]);
    } else {
      REQUIRE(name == nullptr);
    }
  }
}
