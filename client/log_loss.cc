#include "client/log_loss.h"

#include <algorithm>

#include "client/wording.h"

namespace cproto::client {

LostBytes at_least(std::string what, std::uint64_t bytes) {
  return {std::move(what), bytes, bytes > 0 ? LostBytes::Amount::at_least : LostBytes::Amount::unknown};
}

// At least: gzip keeps the size modulo 4 GiB.
LostBytes lost_archive(Files& files, const Relative& archive) {
  return at_least(printable(archive.path) + " was compressed before it was read",
                  uncompressed_size(files, archive.path).value_or(0));
}

const Relative* find_archive(const Family& family, const FilePlace& place) {
  const Chronology order(family);
  const Relative* oldest = nullptr;
  for (const Relative& file : family) {
    if (!file.is_compressed || place.modified_ns == 0 || file.facts.modified_ns < place.modified_ns) continue;
    if (oldest == nullptr || order.written(file, *oldest) < 0) oldest = &file;
  }
  return oldest;
}

std::optional<LostBytes> lost_rest(Files& files, const Relative& archive, const FilePlace& place) {
  const std::uint64_t unread = place.size_seen - place.offset;
  const std::string what = printable(archive.path) + " was compressed before it was read to its end";
  // Compressors keep the time: nothing was written after we last looked.
  if (archive.facts.modified_ns == place.modified_ns) {
    if (unread == 0) return std::nullopt;
    return LostBytes{what, unread, LostBytes::Amount::exact};
  }
  const std::uint64_t size = uncompressed_size(files, archive.path).value_or(0);
  if (size < place.size_seen) return at_least(what, unread);
  if (size == place.offset) return std::nullopt;
  return at_least(what, size - place.offset);
}

bool begins_after(const Family& family, const Relative& file) {
  return std::all_of(family.begin(), family.end(), [&](const Relative& other) {
    return other.is_log || other.facts.modified_ns > file.facts.modified_ns;
  });
}

LostBytes lost_between(const std::string& path) {
  return at_least(printable(path) + " was removed after it was rotated, and perhaps others that followed", 0);
}

LostBytes lost_file(const std::string& path, const FilePlace& place) {
  return at_least(printable(path) + " was rotated or truncated, and what it held before is not there any more",
                  place.size_seen - place.offset);
}

}  // namespace cproto::client
