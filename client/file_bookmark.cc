#include "client/file_bookmark.h"

#include <algorithm>

namespace cproto::client {

Bytes encode(const FileBookmark& place) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.u32(place.index);
  writer.u64(place.identity.device);
  writer.u64(place.identity.inode);
  writer.u64(place.identity.size);
  writer.u64(static_cast<std::uint64_t>(place.identity.mtime_seconds));
  writer.u32(place.identity.mtime_nanoseconds);
  writer.u64(place.pieces);
  writer.bytes(place.chain);
  return bytes;
}

std::optional<FileBookmark> decode_file_bookmark(ByteView bytes) {
  ByteReader reader(bytes);
  FileBookmark place;
  place.index = reader.u32();
  place.identity.device = reader.u64();
  place.identity.inode = reader.u64();
  place.identity.size = reader.u64();
  place.identity.mtime_seconds = static_cast<std::int64_t>(reader.u64());
  place.identity.mtime_nanoseconds = reader.u32();
  place.pieces = reader.u64();
  const ByteView chain = reader.bytes(place.chain.size());
  if (reader.failed() || !reader.empty()) return std::nullopt;
  std::copy(chain.begin(), chain.end(), place.chain.begin());
  return place;
}

}  // namespace cproto::client
