#include "proto/checksum.h"

#include <doctest/doctest.h>

#include <array>

using namespace cproto;

TEST_CASE("checksum: the check value of CRC-32 is that of the specification") {
  CHECK(crc32(0, as_bytes("123456789")) == 0xCBF43926);
}

TEST_CASE("checksum: continuing over two parts equals one pass") {
  CHECK(crc32(crc32(0, as_bytes("1234")), as_bytes("56789")) == 0xCBF43926);
}

TEST_CASE("checksum: nothing changes nothing") {
  CHECK(crc32(0, {}) == 0);
  CHECK(crc32(0xCBF43926, {}) == 0xCBF43926);
}

TEST_CASE("checksum: that of seven bytes is the same, whatever they are") {
  std::array<std::uint8_t, 7> bytes{};
  CHECK(crc32_of_seven(bytes) == crc32(0, bytes));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int value = 0; value < 256; ++value) {
      bytes[i] = static_cast<std::uint8_t>(value);
      REQUIRE(crc32_of_seven(bytes) == crc32(0, bytes));
    }
    bytes[i] = static_cast<std::uint8_t>(37 * i + 5);
  }
}
