#include "client/log_place.h"

namespace cproto::client {

namespace {

void put_file(ByteWriter& out, const FilePlace& place) {
  out.u64(place.device);
  out.u64(place.inode);
  out.u32(place.fingerprint.bytes);
  out.u64(place.fingerprint.sum);
  out.u64(place.offset);
  out.u64(place.size_seen);
  out.u64(static_cast<std::uint64_t>(place.modified_ns));
}

FilePlace get_file(ByteReader& in) {
  FilePlace place;
  place.device = in.u64();
  place.inode = in.u64();
  place.fingerprint.bytes = in.u32();
  place.fingerprint.sum = in.u64();
  place.offset = in.u64();
  place.size_seen = in.u64();
  place.modified_ns = static_cast<std::int64_t>(in.u64());
  if (place.fingerprint.bytes > kFingerprintBytesMax) in.fail();
  return place;
}

void put_other(ByteWriter& out, const std::optional<FilePlace>& place) {
  out.u8(place ? 1 : 0);
  if (place) put_file(out, *place);
}

std::optional<FilePlace> get_other(ByteReader& in) {
  if (in.u8() == 0) return std::nullopt;
  return get_file(in);
}

}  // namespace

void put_place(ByteWriter& out, const LogPlace& place) {
  put_file(out, place);
  put_other(out, place.previous);
  put_other(out, place.next);
}

LogPlace get_place(ByteReader& in) {
  LogPlace place;
  static_cast<FilePlace&>(place) = get_file(in);
  place.previous = get_other(in);
  place.next = get_other(in);
  return place;
}

}  // namespace cproto::client
