#include "daemon/uv_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>

#include "proto/assert.h"

namespace cproto {

namespace {

constexpr std::size_t kCopySize = 1u << 20;
constexpr std::size_t kZeroSize = 16 * 1024;

int negative_to_errno(ssize_t result) { return result < 0 ? errno : 0; }

// A file system that cannot do it refuses here, or only when it is written to.
void set_past_cache(int fd) { (void)::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_DIRECT); }

// Whether what failed, for where it lies in memory or in the file, or for the file system, can be done through the page
// cache from now on.
bool can_go_through_cache(int fd) {
  if (errno != EINVAL) return false;
  const int flags = ::fcntl(fd, F_GETFL);
  return (flags & O_DIRECT) != 0 && ::fcntl(fd, F_SETFL, flags & ~O_DIRECT) == 0;
}

// `flags` as of pwritev2(2): with RWF_APPEND it is written at the end, wherever that is by then.
int write_all(int fd, ByteView bytes, std::uint64_t offset, int flags = 0) {
  while (!bytes.empty()) {
    const iovec part{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
    const ssize_t count = ::pwritev2(fd, &part, 1, static_cast<off_t>(offset), flags);
    if (count < 0 && (errno == EINTR || can_go_through_cache(fd))) continue;
    if (count < 0) return errno;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return 0;
}

int read_all(int fd, std::span<std::uint8_t> into, std::uint64_t offset) {
  while (!into.empty()) {
    const ssize_t count = ::pread(fd, into.data(), into.size(), static_cast<off_t>(offset));
    if (count < 0 && (errno == EINTR || can_go_through_cache(fd))) continue;
    if (count < 0) return errno;
    if (count == 0) return EIO;
    into = into.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return 0;
}

int file_status(int fd, FileStatus& out) {
  struct stat status {};
  if (::fstat(fd, &status) < 0) return errno;
  out = {static_cast<std::uint64_t>(status.st_dev), static_cast<std::uint64_t>(status.st_ino),
         static_cast<std::uint64_t>(status.st_size), true, static_cast<std::uint64_t>(status.st_nlink)};
  return 0;
}

int path_status(const std::string& path, FileStatus& out) {
  struct stat status {};
  out = {};
  if (::lstat(path.c_str(), &status) < 0) return errno == ENOENT || errno == ENOTDIR ? 0 : errno;
  out = {static_cast<std::uint64_t>(status.st_dev), static_cast<std::uint64_t>(status.st_ino),
         static_cast<std::uint64_t>(status.st_size), true, static_cast<std::uint64_t>(status.st_nlink)};
  return 0;
}

int open_file(FileOp& op, int flags) {
  // Nothing that was planted in the inbox is followed or waited for.
  const int fd = ::open(op.path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, op.mode);
  if (fd < 0) return errno;
  struct stat status {};
  if (::fstat(fd, &status) == 0 && !S_ISREG(status.st_mode)) {
    ::close(fd);
    return EINVAL;
  }
  op.file->handle = fd;
  return 0;
}

int copy_file(const FileOp& op, std::uint64_t offset, int flags = 0) {
  Bytes buffer(std::min<std::uint64_t>(op.size, kCopySize));
  for (std::uint64_t at = 0; at < op.size; at += kCopySize) {
    const auto chunk = std::span(buffer).first(std::min<std::uint64_t>(op.size - at, kCopySize));
    if (const int error = read_all(op.source->handle, chunk, at)) return error;
    if (const int error = write_all(op.file->handle, chunk, offset + at, flags)) return error;
  }
  return 0;
}

// In small steps: the page cache keeps what one call writes in one folio, and whoever later writes a block into a large
// one is accounted all of it.
int zero_fill(int fd, std::uint64_t size) {
  const Bytes zeros(std::min<std::uint64_t>(size, kZeroSize));
  for (std::uint64_t at = 0; at < size; at += kZeroSize)
    if (const int error = write_all(fd, ByteView(zeros).first(std::min<std::uint64_t>(size - at, kZeroSize)), at))
      return error;
  return 0;
}

int sync_directory(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int error = negative_to_errno(::fsync(fd));
  ::close(fd);
  return error;
}

int make_link(const std::string& path, const std::string& target) {
  if (::unlink(target.c_str()) < 0 && errno != ENOENT) return errno;
  return negative_to_errno(::link(path.c_str(), target.c_str()));
}

int make_folder(const FileOp& op) {
  if (::mkdir(op.path.c_str(), op.mode) == 0) return 0;
  if (errno != EEXIST) return errno;
  struct stat status {};
  if (::lstat(op.path.c_str(), &status) < 0) return errno;
  return S_ISDIR(status.st_mode) ? 0 : ENOTDIR;
}

int rename_without_replacing(const std::string& path, const std::string& target) {
  return negative_to_errno(::renameat2(AT_FDCWD, path.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE));
}

int move_file(const FileOp& op) {
  const int error = negative_to_errno(::rename(op.path.c_str(), op.target.c_str()));
  return error == ENOENT && ::access(op.path.c_str(), F_OK) < 0 ? 0 : error;
}

int move_beside(const FileOp& op) {
  for (unsigned number = 0;; ++number) {
    const int error = rename_without_replacing(op.path, name_beside(op.target, number));
    if (error == ENOENT && ::access(op.path.c_str(), F_OK) < 0) return 0;
    if (error != EEXIST) return error;
  }
}

SpaceStatus to_space(const struct statvfs& status) {
  const std::uint64_t block = status.f_frsize;
  return {status.f_bavail * block, status.f_blocks * block, status.f_fsid};
}

int space_of_path(const std::string& path, SpaceStatus& out) {
  struct statvfs status {};
  if (::statvfs(path.c_str(), &status) < 0) return errno;
  out = to_space(status);
  struct stat file {};
  if (::stat(path.c_str(), &file) < 0) return errno;
  out.device = static_cast<std::uint64_t>(file.st_dev);
  return 0;
}

int reserve(int fd, const FileOp& op) {
  if (op.size == 0) return 0;
  struct statvfs status {};
  if (op.keep_free > 0 && ::fstatvfs(fd, &status) == 0) {
    const std::uint64_t free = to_space(status).free;
    if (free < op.keep_free || free - op.keep_free < op.size) return ENOSPC;
  }
  const int error = negative_to_errno(::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(op.size)));
  return error == EOPNOTSUPP || error == ENOSYS ? 0 : error;
}

// Links are not followed. What goes meanwhile is not there.
int measure(const std::string& path, std::uint64_t& bytes) {
  thread_local std::uint64_t sum;  // nftw() hands nothing through
  sum = 0;
  const auto add = [](const char*, const struct stat* status, int type, FTW*) {
    if (type == FTW_F) sum += static_cast<std::uint64_t>(status->st_size);
    return 0;
  };
  constexpr int kDescriptors = 4;
  if (::nftw(path.c_str(), add, kDescriptors, FTW_PHYS | FTW_MOUNT) < 0) return errno;
  bytes = sum;
  return 0;
}

// Who may not give a file to that group leaves it with its own: readers are then told by its permissions.
int share(int fd, const std::string& directory) {
  struct stat status {};
  if (::stat(directory.c_str(), &status) < 0) return errno;
  const int error = negative_to_errno(::fchown(fd, static_cast<uid_t>(-1), status.st_gid));
  return error == EPERM ? 0 : error;
}

int finish(int fd, const FileOp& op) {
  if (::ftruncate(fd, static_cast<off_t>(op.size)) < 0 || ::fchmod(fd, op.mode & 0777) < 0) return errno;
  if (!op.mtime) return 0;
  timespec times[2]{};
  times[0].tv_nsec = UTIME_OMIT;
  times[1].tv_sec = op.mtime->seconds;
  times[1].tv_nsec = op.mtime->nanoseconds;
  return negative_to_errno(::futimens(fd, times));
}

int list_directory(const std::string& path, std::vector<std::string>& names) {
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return errno;
  names.clear();
  while (const dirent* entry = ::readdir(directory)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  ::closedir(directory);
  return 0;
}

int run_operation(FileOp& op) {
  using Kind = FileOp::Kind;
  const int fd = op.file != nullptr ? op.file->handle : -1;
  switch (op.kind) {
    case Kind::open: return open_file(op, O_RDWR);
    case Kind::open_to_read: return open_file(op, O_RDONLY);
    case Kind::create: return open_file(op, O_RDWR | O_CREAT | O_EXCL);
    case Kind::open_or_create: return open_file(op, O_RDWR | O_CREAT);
    case Kind::close: {
      op.file->handle = -1;
      return negative_to_errno(::close(fd));
    }
    case Kind::read: return read_all(fd, op.into, op.offset);
    case Kind::write:
      if (op.is_past_cache) set_past_cache(fd);
      return write_all(fd, op.bytes, op.offset);
    // Somebody may cut a log of the inbox at any moment: a position that was asked for before would leave a hole in it.
    case Kind::append: return write_all(fd, op.bytes, 0, RWF_APPEND);
    case Kind::append_file: return copy_file(op, 0, RWF_APPEND);
    case Kind::write_file: return copy_file(op, op.offset);
    case Kind::zero_fill: return zero_fill(fd, op.size);
    case Kind::sync_data: return negative_to_errno(::fdatasync(fd));
    case Kind::sync_all: return negative_to_errno(::fsync(fd));
    case Kind::sync_directory: return sync_directory(op.path);
    case Kind::make_directory: {
      const int error = negative_to_errno(::mkdir(op.path.c_str(), op.mode));
      return error == EEXIST ? 0 : error;
    }
    case Kind::make_folder: return make_folder(op);
    case Kind::make_link: return make_link(op.path, op.target);
    case Kind::rename: return negative_to_errno(::rename(op.path.c_str(), op.target.c_str()));
    case Kind::move_file: return move_file(op);
    case Kind::move_beside: return move_beside(op);
    case Kind::remove: {
      const int error = negative_to_errno(::unlink(op.path.c_str()));
      return error == ENOENT ? 0 : error;
    }
    case Kind::status: return file_status(fd, *op.status);
    case Kind::status_of_path: return path_status(op.path, *op.status);
    case Kind::expect_identity: {
      FileStatus status;
      if (const int error = path_status(op.path, status)) return error;
      return status.device == op.status->device && status.inode == op.status->inode ? 0 : ESTALE;
    }
    case Kind::expect_kept: {
      FileStatus file;
      FileStatus named;
      if (const int error = file_status(fd, file)) return error;
      if (const int error = path_status(op.path, named)) return error;
      return file.links > 1 || (file.device == named.device && file.inode == named.inode) ? 0 : ESTALE;
    }
    case Kind::expect_size: {
      if (const int error = file_status(fd, *op.status)) return error;
      return op.status->size < op.size ? ERANGE : 0;
    }
    case Kind::list: return list_directory(op.path, *op.names);
    case Kind::reserve: return reserve(fd, op);
    case Kind::share: return share(fd, op.path);
    case Kind::finish: return finish(fd, op);
    case Kind::drop_cached:
      (void)::posix_fadvise(fd, static_cast<off_t>(op.offset), static_cast<off_t>(op.size), POSIX_FADV_DONTNEED);
      return 0;
    case Kind::hash: op.digest->update(op.bytes); return 0;
    case Kind::space_of_path: return space_of_path(op.path, *op.space);
    case Kind::measure: return measure(op.path, *op.measured);
  }
  return EINVAL;
}

}  // namespace

JobResult run_file_operations(Job& job) {
  JobResult result;
  for (; result.operation < job.size(); ++result.operation) {
    FileOp& op = job[result.operation];
    const auto began = std::chrono::steady_clock::now();
    result.error = run_operation(op);
    if (op.kind == FileOp::Kind::sync_data) result.sync_time += std::chrono::steady_clock::now() - began;
    if (result.error != 0) return result;
  }
  return result;
}

JobResult UvDisk::run(Job& job) { return run_file_operations(job); }

struct UvDisk::Work {
  uv_work_t request{};
  UvDisk* disk = nullptr;
  Job job;
  JobResult result;
  std::function<void(JobResult)> done;
};

void UvDisk::submit(Job job, std::function<void(JobResult)> done) {
  if (is_over_) return;
  ++jobs_;
  auto* work = new Work;
  work->disk = this;
  work->job = std::move(job);
  work->done = std::move(done);
  work->request.data = work;
  const int error = uv_queue_work(
      loop_, &work->request,
      [](uv_work_t* request) {
        auto* self = static_cast<Work*>(request->data);
        self->result = run_file_operations(self->job);
      },
      [](uv_work_t* request, int) {
        const std::unique_ptr<Work> self(static_cast<Work*>(request->data));
        --self->disk->jobs_;
        if (self->disk->is_over_) return;
        self->done(self->result);
        self->disk->after_job_();
      });
  CPROTO_ASSERT(error == 0);
}

void UvDisk::end() {
  is_over_ = true;
  while (jobs_ > 0) uv_run(loop_, UV_RUN_ONCE);
}

}  // namespace cproto
