// CRC-32 (ISO-HDLC, the one of zlib's crc32; "123456789" gives 0xCBF43926): PROTOCOL §2.4.
#pragma once

#include <cstdint>

#include "proto/bytes.h"

namespace cproto {

// Continues `crc` (0 to begin) over `bytes`.
std::uint32_t crc32(std::uint32_t crc, ByteView bytes);

}  // namespace cproto
