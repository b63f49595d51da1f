#include "proto/tlv.h"

#include <doctest/doctest.h>

using namespace cproto;

TEST_CASE("tlv: parameters are read as they were written") {
  Bytes bytes;
  ByteWriter writer(bytes);
  put_tlv(writer, kTlvChannel, as_bytes("web"));
  put_tlv_number(writer, kTlvMessageSizeMax, std::uint64_t{0x0102030405060708});
  CHECK(to_hex(bytes) ==
        "80020003776562"
        "010200080102030405060708");
  ByteReader reader(bytes);
  const Tlv channel = take_tlv(reader);
  CHECK(channel.type == kTlvChannel);
  CHECK(channel.is_critical());
  CHECK(as_text(channel.value) == "web");
  const Tlv size = take_tlv(reader);
  CHECK_FALSE(size.is_critical());
  std::uint64_t value = 0;
  CHECK(tlv_number(size, value));
  CHECK(value == 0x0102030405060708);
  CHECK(reader.empty());
  CHECK_FALSE(reader.failed());
}

TEST_CASE("tlv: a number of another width is not read") {
  Bytes bytes;
  ByteWriter writer(bytes);
  put_tlv_number(writer, kTlvMessageSizeMax, std::uint32_t{5});
  ByteReader reader(bytes);
  std::uint64_t value = 7;
  CHECK_FALSE(tlv_number(take_tlv(reader), value));
  CHECK(value == 7);
}

TEST_CASE("tlv: what is cut short anywhere fails and gives nothing") {
  Bytes bytes;
  ByteWriter writer(bytes);
  put_tlv(writer, kTlvChannel, as_bytes("web"));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    ByteReader reader(ByteView(bytes).first(size));
    const Tlv tlv = take_tlv(reader);
    REQUIRE(reader.failed());
    REQUIRE(tlv.value.empty());
  }
}

TEST_CASE("tlv: the reserved types are eight, none of them critical") {
  CHECK(reserved_tlv(0) == 0x0a0a);
  CHECK(reserved_tlv(7) == 0x7a7a);
  CHECK(reserved_tlv(8) == 0x0a0a);
  for (std::uint64_t pick = 0; pick < 8; ++pick) CHECK((reserved_tlv(pick) & kTlvCritical) == 0);
}
