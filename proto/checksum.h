// CRC-32 (ISO-HDLC, the one of zlib's crc32; "123456789" gives 0xCBF43926): PROTOCOL §2.4.
#pragma once

#include <cstdint>
#include <span>

#include "proto/bytes.h"

namespace cproto {

// Continues `crc` (0 to begin) over `bytes`.
std::uint32_t crc32(std::uint32_t crc, ByteView bytes);

// crc32(0, bytes), for the head of a frame: as long as libraries take for so few bytes, they take for half of the usual
// payload.
std::uint32_t crc32_of_seven(std::span<const std::uint8_t, 7> bytes);

}  // namespace cproto
