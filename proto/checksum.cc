#include "proto/checksum.h"

#ifdef CPROTO_HAVE_LIBDEFLATE
#include <libdeflate.h>
#else
#include <zlib.h>
#endif

namespace cproto {

std::uint32_t crc32(std::uint32_t crc, ByteView bytes) {
  if (bytes.empty()) return crc;  // both libraries take a null pointer for "begin anew"
#ifdef CPROTO_HAVE_LIBDEFLATE
  return libdeflate_crc32(crc, bytes.data(), bytes.size());
#else
  return static_cast<std::uint32_t>(::crc32_z(crc, bytes.data(), bytes.size()));
#endif
}

}  // namespace cproto
