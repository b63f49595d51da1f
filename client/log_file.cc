#include "client/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace cproto::client {

namespace {

std::int64_t nanoseconds(const statx_timestamp& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

// statx and not stat: for the time of birth.
std::optional<FileFacts> facts(int directory, const char* path, int flags) {
  struct statx info {};
  if (::statx(directory, path, flags, STATX_BASIC_STATS | STATX_BTIME, &info) != 0) return std::nullopt;
  FileFacts facts;
  facts.device = makedev(info.stx_dev_major, info.stx_dev_minor);
  facts.inode = info.stx_ino;
  facts.size = info.stx_size;
  facts.modified_ns = nanoseconds(info.stx_mtime);
  facts.born_ns = (info.stx_mask & STATX_BTIME) != 0 ? nanoseconds(info.stx_btime) : 0;
  facts.mode = info.stx_mode;
  return facts;
}

std::ptrdiff_t read_at(int fd, std::span<std::uint8_t> room, std::uint64_t offset) {
  while (true) {
    const ssize_t size = ::pread(fd, room.data(), room.size(), static_cast<off_t>(offset));
    if (size >= 0 || errno != EINTR) return size;
  }
}

}  // namespace

std::optional<FileFacts> facts_of(const std::string& path) { return facts(AT_FDCWD, path.c_str(), 0); }
std::optional<FileFacts> facts_of(int fd) { return facts(fd, "", AT_EMPTY_PATH); }

int why_no_log(unsigned mode) {
  if (S_ISREG(mode)) return 0;
  return S_ISDIR(mode) ? EISDIR : EOPNOTSUPP;
}

LogFile& LogFile::operator=(LogFile&& other) noexcept {
  if (this == &other) return *this;
  close();
  fd_ = std::exchange(other.fd_, -1);
  place_ = std::exchange(other.place_, {});
  facts_ = other.facts_;
  grew_at = other.grew_at;
  is_copy = std::exchange(other.is_copy, false);
  return *this;
}

int LogFile::open(const std::string& path, std::uint64_t offset) {
  close();
  // O_NONBLOCK: a named pipe in the log's place is refused, not waited for.
  fd_ = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  if (fd_ < 0) return errno == ENXIO ? EOPNOTSUPP : errno;  // ENXIO: a socket
  const std::optional<FileFacts> found = facts_of(fd_);
  const int error = found ? why_no_log(found->mode) : errno;
  if (error != 0) {
    close();
    return error;
  }
  place_.device = found->device;
  place_.inode = found->inode;
  (void)look();  // nothing is known yet that could be different
  place_.offset = offset;
  return 0;
}

void LogFile::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  place_ = {};
  is_copy = false;
}

bool LogFile::look() {
  const std::optional<FileFacts> now = facts_of(fd_);
  FirstBytes room;
  const std::optional<ByteView> first = read_first(fd_, room);
  if (!now || !first) return true;  // that it cannot be read is told by read()
  if (now->size < place_.offset || !place_.fingerprint.follow(*first)) return false;
  facts_ = *now;
  place_.size_seen = now->size;
  place_.modified_ns = now->modified_ns;
  return true;
}

bool LogFile::fits(const FilePlace& place) const {
  return place_.size_seen >= place.offset && matches(place.fingerprint, fd_);
}

bool LogFile::is_past_line_feed() const {
  std::uint8_t last = '\n';
  if (place_.size_seen == 0 || place_.offset != place_.size_seen + 1) return false;
  return read_at(fd_, {&last, 1}, place_.size_seen - 1) == 1 && last != '\n';
}

std::ptrdiff_t LogFile::read(std::span<std::uint8_t> room) const { return read_at(fd_, room, place_.offset); }

int LogFile::seek_last_line() {
  Bytes room(64 * 1024);
  std::uint64_t end = place_.size_seen;
  while (end > 0) {
    const std::uint64_t start = end - std::min<std::uint64_t>(end, room.size());
    const std::ptrdiff_t size = read_at(fd_, std::span(room).first(static_cast<std::size_t>(end - start)), start);
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
  (void)look();  // nothing is known of it that could be different
}

}  // namespace cproto::client
