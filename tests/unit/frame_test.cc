#include "proto/frame.h"

#include <doctest/doctest.h>

#include "proto/checksum.h"

using namespace cproto;

TEST_CASE("checksum: the check value of CRC-32 is that of the specification") {
  CHECK(crc32(0, as_bytes("123456789")) == 0xCBF43926);
}

TEST_CASE("checksum: continuing over two parts equals one pass") {
  CHECK(crc32(crc32(0, as_bytes("1234")), as_bytes("56789")) == 0xCBF43926);
}

TEST_CASE("frame: the header is eleven bytes in network order") {
  Bytes frame;
  encode_frame(FrameType::data, {0x0102}, as_bytes("Hi"), frame);
  CHECK(frame.size() == kHeaderSize + 2);
  CHECK(to_hex(ByteView(frame).first(7)) == "00000002010102");
  CHECK(load_be<std::uint32_t>(frame.data() + 7) == frame_checksum(frame.data(), 2));
}
