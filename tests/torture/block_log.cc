// cproto-block-log IMAGE LOG FOLDER
//
// Shows IMAGE as the file "disk" in FOLDER, a FUSE file system, for a loop device to lie on: a disk that remembers.
// Every write and every flush that reaches it is appended to LOG in the order in which it came, before it is carried
// out. Whoever replays the log up to some place, with what came behind the last flush in part, has a disk as a power
// cut leaves it.
//
//   a record of LOG, in the machine's byte order
//   +0   u64 offset on the disk; 2^64-1: a flush
//   +8   u64 bytes of what follows; 0 for a flush
//   +16  the bytes
//
// Stays in the foreground; SIGTERM ends it. Status 74 if IMAGE or LOG cannot be used.
#define FUSE_USE_VERSION 31

#include <fcntl.h>
#include <fuse.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace {

constexpr int kUsage = 64;
constexpr int kIoError = 74;
constexpr std::string_view kName = "/disk";
constexpr std::uint64_t kFlush = ~std::uint64_t{0};

struct Record {
  std::uint64_t offset;
  std::uint64_t size;
};

// One of each, for callbacks that get no object. FUSE is told to use one thread, so records never mix.
int image = -1;
int log_file = -1;
off_t image_size = 0;

// Whole or not at all; a log with half a record would end the experiment, not only this write.
bool append(const Record& record, const char* bytes) {
  Record copy = record;
  std::array<iovec, 2> parts{iovec{&copy, sizeof copy}, iovec{const_cast<char*>(bytes), record.size}};
  const auto size = static_cast<ssize_t>(sizeof copy + record.size);
  return ::writev(log_file, parts.data(), static_cast<int>(parts.size())) == size;
}

int get_attributes(const char* path, struct stat* status, fuse_file_info*) {
  *status = {};
  if (std::string_view(path) == "/") {
    status->st_mode = S_IFDIR | 0700;
    status->st_nlink = 2;
    return 0;
  }
  if (path != kName) return -ENOENT;
  status->st_mode = S_IFREG | 0600;
  status->st_nlink = 1;
  status->st_size = image_size;
  return 0;
}

int list(const char*, void* buffer, fuse_fill_dir_t fill, off_t, fuse_file_info*, fuse_readdir_flags) {
  fill(buffer, kName.data() + 1, nullptr, 0, fuse_fill_dir_flags{});
  return 0;
}

// Nothing of it stays in a cache above: what the loop device writes is here when the write returns.
int open_disk(const char* path, fuse_file_info* info) {
  if (path != kName) return -ENOENT;
  info->direct_io = 1;
  return 0;
}

int read_disk(const char*, char* buffer, std::size_t size, off_t offset, fuse_file_info*) {
  const ssize_t count = ::pread(image, buffer, size, offset);
  return count < 0 ? -errno : static_cast<int>(count);
}

int write_disk(const char*, const char* bytes, std::size_t size, off_t offset, fuse_file_info*) {
  if (!append({static_cast<std::uint64_t>(offset), size}, bytes)) return -EIO;
  const ssize_t count = ::pwrite(image, bytes, size, offset);
  return count < 0 ? -errno : static_cast<int>(count);
}

int flush_disk(const char*, int, fuse_file_info*) { return append({kFlush, 0}, nullptr) ? 0 : -EIO; }

// Discards and zeroing would be writes that the log does not show.
int refuse_to_allocate(const char*, int, off_t, off_t, fuse_file_info*) { return -EOPNOTSUPP; }

fuse_operations operations() {
  fuse_operations table{};
  table.getattr = get_attributes;
  table.readdir = list;
  table.open = open_disk;
  table.read = read_disk;
  table.write = write_disk;
  table.fsync = flush_disk;
  table.fallocate = refuse_to_allocate;
  return table;
}

bool open_files(const char* image_path, const char* log_path) {
  image = ::open(image_path, O_RDWR | O_CLOEXEC);
  log_file = ::open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  struct stat status {};
  if (image < 0 || log_file < 0 || ::fstat(image, &status) != 0) return false;
  image_size = status.st_size;
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: cproto-block-log IMAGE LOG FOLDER\n", stderr);
    return kUsage;
  }
  if (!open_files(argv[1], argv[2])) {
    std::fprintf(stderr, "cproto-block-log: %s\n", std::strerror(errno));
    return kIoError;
  }
  // In the foreground, on one thread.
  std::array<char, 3> foreground{"-f"};
  std::array<char, 3> single{"-s"};
  std::array<char*, 4> arguments{argv[0], foreground.data(), single.data(), argv[3]};
  const fuse_operations table = operations();
  return fuse_main(static_cast<int>(arguments.size()), arguments.data(), &table, nullptr) == 0 ? 0 : kIoError;
}
