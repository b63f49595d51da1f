#include "proto/checksum.h"

#include <doctest/doctest.h>

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
