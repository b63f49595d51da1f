#include "proto/checksum.h"

#include <array>

#ifdef CPROTO_HAVE_LIBDEFLATE
#include <libdeflate.h>
#else
#include <zlib.h>
#endif

namespace cproto {

namespace {

using Table = std::array<std::uint32_t, 256>;

// [k][b]: what byte b comes to with k bytes behind it. Each byte is looked up on its own, none waits for another.
constexpr std::array<Table, 7> kByteBefore = [] {
  std::array<Table, 7> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320u : 0);
    tables[0][byte] = crc;
  }
  for (std::size_t k = 1; k < tables.size(); ++k)
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  return tables;
}();

}  // namespace

std::uint32_t crc32_of_seven(std::span<const std::uint8_t, 7> bytes) {
  const auto& table = kByteBefore;
  // The sum begins with all ones. Not a loop: g++ would leave it one.
  return ~(table[6][bytes[0] ^ 0xff] ^ table[5][bytes[1] ^ 0xff] ^ table[4][bytes[2] ^ 0xff] ^
           table[3][bytes[3] ^ 0xff] ^ table[2][bytes[4]] ^ table[1][bytes[5]] ^ table[0][bytes[6]]);
}

std::uint32_t crc32(std::uint32_t crc, ByteView bytes) {
  if (bytes.empty()) return crc;  // both libraries take a null pointer for "begin anew"
#ifdef CPROTO_HAVE_LIBDEFLATE
  return libdeflate_crc32(crc, bytes.data(), bytes.size());
#else
  return static_cast<std::uint32_t>(::crc32_z(crc, bytes.data(), bytes.size()));
#endif
}

}  // namespace cproto
