#include "client/log_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

namespace cproto::client {

int why_no_log(unsigned mode) {
  if (S_ISREG(mode)) return 0;
  return S_ISDIR(mode) ? EISDIR : EOPNOTSUPP;
}

LogFile& LogFile::operator=(LogFile&& other) noexcept {
  if (this == &other) return *this;
  file_ = std::move(other.file_);
  place_ = std::exchange(other.place_, {});
  facts_ = other.facts_;
  grew_at = other.grew_at;
  is_copy = std::exchange(other.is_copy, false);
  return *this;
}

int LogFile::open(Files& files, const std::string& path, std::uint64_t offset) {
  close();
  // A named pipe in the log's place is refused, not waited for.
  if (const int error = files.open(path, Files::Access::read, file_))
    return error == ENXIO ? EOPNOTSUPP : error;  // ENXIO: a socket
  const std::optional<FileFacts> found = file_->facts();
  const int error = found ? why_no_log(found->mode) : errno;
  if (error != 0) {
    close();
    return error;
  }
  place_.device = found->device;
  place_.inode = found->inode;
  bool is_same = true;  // nothing is known yet that could be different
  if (const int unknown = look(is_same)) {
    close();
    return unknown;
  }
  place_.offset = offset;
  return 0;
}

void LogFile::close() {
  file_.reset();
  place_ = {};
  is_copy = false;
}

bool LogFile::look() {
  bool is_same = true;
  (void)look(is_same);  // that it cannot be read is told by read()
  return is_same;
}

int LogFile::look(bool& is_same) {
  const std::optional<FileFacts> now = file_->facts();
  if (!now) return errno;
  FirstBytes room;
  const std::optional<ByteView> first = read_first(*file_, room);
  if (!first) return errno;
  is_same = now->size >= place_.offset && place_.fingerprint.follow(*first);
  if (!is_same) return 0;
  facts_ = *now;
  place_.size_seen = now->size;
  place_.modified_ns = now->modified_ns;
  return 0;
}

bool LogFile::fits(const FilePlace& place) const {
  return place_.size_seen >= place.offset && matches(place.fingerprint, *file_);
}

bool LogFile::is_past_line_feed() const {
  std::uint8_t last = '\n';
  if (place_.size_seen == 0 || place_.offset != place_.size_seen + 1) return false;
  return file_->read({&last, 1}, place_.size_seen - 1) == 1 && last != '\n';
}

std::ptrdiff_t LogFile::read(std::span<std::uint8_t> room) const { return file_->read(room, place_.offset); }

int LogFile::seek_last_line() {
  Bytes room(64 * 1024);
  std::uint64_t end = place_.size_seen;
  while (end > 0) {
    const std::uint64_t start = end - std::min<std::uint64_t>(end, room.size());
    const std::ptrdiff_t size = file_->read(std::span(room).first(static_cast<std::size_t>(end - start)), start);
    if (size < 0) return errno;
    const auto block = as_text(ByteView(room).first(static_cast<std::size_t>(size)));
    const std::size_t line_feed = block.rfind('\n');
    if (line_feed != block.npos) {
      place_.offset = start + line_feed + 1;
      return 0;
    }
    end = start;
  }
  place_.offset = 0;
  return 0;
}

void LogFile::restart() {
  const FilePlace before = std::exchange(place_, {});
  place_.device = before.device;
  place_.inode = before.inode;
  place_.modified_ns = before.modified_ns;
  (void)look();  // nothing is known of it that could be different
}

}  // namespace cproto::client
