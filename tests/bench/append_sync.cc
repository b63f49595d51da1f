#include "tests/bench/append_sync.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "proto/random.h"
#include "tests/bench/clock.h"

namespace cproto::bench {

namespace {

constexpr std::uint64_t round_up(std::uint64_t size) { return (size + kBlockBytes - 1) / kBlockBytes * kBlockBytes; }

bool write_at(int fd, ByteView bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return true;
}

}  // namespace

std::unique_ptr<AppendFile> AppendFile::make(const std::string& directory, std::uint64_t size) {
  const std::string path = directory + "/append.limit";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return nullptr;
  std::unique_ptr<AppendFile> file(new AppendFile(fd, std::max(round_up(size), kBatchBytesMax)));
  ::unlink(path.c_str());
  const Bytes zeros(kBatchBytesMax);
  for (std::uint64_t at = 0; at < file->size_; at += zeros.size())
    if (!write_at(fd, ByteView(zeros).first(std::min<std::uint64_t>(zeros.size(), file->size_ - at)), at))
      return nullptr;
  if (::fsync(fd) != 0) return nullptr;
  return file;
}

AppendFile::AppendFile(int fd, std::uint64_t size) : fd_(fd), size_(size), content_(kBatchBytesMax) {
  Random random(1);  // nothing that a disk could take for zeros
  for (std::size_t at = 0; at < content_.size(); at += 8) store_be(content_.data() + at, random.next());
}

AppendFile::~AppendFile() { ::close(fd_); }

bool AppendFile::write_and_sync(ByteView bytes) {
  if (end_ + bytes.size() > size_) end_ = 0;
  const bool ok = write_at(fd_, bytes, end_) && ::fdatasync(fd_) == 0;
  end_ += bytes.size();
  return ok;
}

std::optional<Duration> AppendFile::append(std::uint64_t total, std::uint64_t batch_bytes) {
  const std::uint64_t batch = std::clamp(round_up(batch_bytes), kBlockBytes, kBatchBytesMax);
  end_ = 0;
  const Instant begin = now();
  for (std::uint64_t left = total; left > 0; left -= std::min(left, batch))
    if (!write_and_sync(ByteView(content_).first(round_up(std::min(left, batch))))) return std::nullopt;
  return now() - begin;
}

bool AppendFile::append(Bytes& bytes) {
  bytes.resize(round_up(bytes.size()));
  return write_and_sync(bytes);
}

std::optional<std::vector<Duration>> AppendFile::sync_blocks(std::uint64_t count) {
  std::vector<Duration> times;
  times.reserve(count);
  end_ = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const Instant begin = now();
    if (!write_and_sync(ByteView(content_).first(kBlockBytes))) return std::nullopt;
    times.push_back(now() - begin);
  }
  return times;
}

}  // namespace cproto::bench
