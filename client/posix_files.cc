#include "client/posix_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <limits>

namespace cproto::client {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kNanoseconds = 1'000'000'000;

// What lies beyond the year 2262 is that year.
std::int64_t nanoseconds(std::int64_t seconds, std::uint32_t rest) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / kNanoseconds - 1;
  return std::clamp(seconds, -kMost, kMost) * kNanoseconds + rest;
}

// statx and not stat: for the time of birth.
std::optional<FileFacts> look(int directory, const char* path, int flags) {
  struct statx info {};
  if (::statx(directory, path, flags, STATX_BASIC_STATS | STATX_BTIME, &info) != 0) return std::nullopt;
  FileFacts facts;
  facts.device = makedev(info.stx_dev_major, info.stx_dev_minor);
  facts.inode = info.stx_ino;
  facts.size = info.stx_size;
  facts.modified_ns = nanoseconds(info.stx_mtime.tv_sec, info.stx_mtime.tv_nsec);
  if ((info.stx_mask & STATX_BTIME) != 0) facts.born_ns = nanoseconds(info.stx_btime.tv_sec, info.stx_btime.tv_nsec);
  facts.mode = info.stx_mode;
  facts.modified = {info.stx_mtime.tv_sec, info.stx_mtime.tv_nsec};
  return facts;
}

class Descriptor final : public OpenFile {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() override { ::close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  std::optional<FileFacts> facts() const override { return look(fd_, "", AT_EMPTY_PATH); }
  std::ptrdiff_t read(std::span<std::uint8_t> room, std::uint64_t offset) const override {
    while (true) {
      const ssize_t size = ::pread(fd_, room.data(), room.size(), static_cast<off_t>(offset));
      if (size >= 0 || errno != EINTR) return size;
    }
  }
  int write(ByteView bytes, std::uint64_t offset) override {
    while (!bytes.empty()) {
      const ssize_t size = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0) return size < 0 ? errno : EIO;
      bytes = bytes.subspan(static_cast<std::size_t>(size));
      offset += static_cast<std::uint64_t>(size);
    }
    return 0;
  }
  int sync() override { return ::fsync(fd_) == 0 ? 0 : errno; }
  int lock() override { return ::flock(fd_, LOCK_EX | LOCK_NB) == 0 ? 0 : errno; }

 private:
  int fd_;
};

}  // namespace

int PosixFiles::open(const std::string& path, Access access, std::unique_ptr<OpenFile>& opened) {
  constexpr int kRead = O_RDONLY | O_NONBLOCK | O_NOCTTY;
  const int flags = (access == Access::read ? kRead : O_RDWR | O_CREAT) | O_CLOEXEC;
  const int fd = ::open(path.c_str(), flags, 0600);
  if (fd < 0) return errno;
  opened = std::make_unique<Descriptor>(fd);
  return 0;
}

std::optional<FileFacts> PosixFiles::facts_of(const std::string& path) const { return look(AT_FDCWD, path.c_str(), 0); }

int PosixFiles::list(const std::string& directory, std::vector<std::string>& names) const {
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename());
  return error.value();
}

std::string PosixFiles::follow_links(const std::string& path) const {
  constexpr int kLinksMax = 16;  // more is a circle
  fs::path target = path;
  std::error_code error;
  for (int i = 0; i < kLinksMax && fs::is_symlink(target, error); ++i)
    target = target.parent_path() / fs::read_symlink(target, error);
  return target;
}

int PosixFiles::make_directory(const std::string& path, unsigned mode) {
  return ::mkdir(path.c_str(), mode) == 0 ? 0 : errno;
}

int PosixFiles::sync_directory(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int error = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  return error;
}

int PosixFiles::remove(const std::string& path) { return ::unlink(path.c_str()) == 0 ? 0 : errno; }

std::int64_t PosixFiles::clock_ns() const {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &time);
  return nanoseconds(time.tv_sec, static_cast<std::uint32_t>(time.tv_nsec));
}

}  // namespace cproto::client
