// The daemon's only way to a disk: jobs as data. A job is a list of file operations, run in order up to the first that
// fails; the answer says which. Whoever wants something durable decides the order here, above the disk, where the
// simulator runs it too. Two implementations: libuv's thread pool, and one in memory that can lose, tear and refuse.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "proto/bytes.h"
#include "proto/digest.h"
#include "proto/message.h"
#include "proto/options.h"
#include "proto/time.h"

namespace cproto {

// In cprotod, memory of this size and more begins at a page.
inline constexpr std::size_t kPagedSize = 64 * 1024;

// An open file. Belongs to whoever declared it; a job that names it must be over before it goes.
struct File {
  int handle = -1;
  bool is_open() const { return handle >= 0; }
};

struct FileStatus {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  bool exists = false;
  std::uint64_t links = 0;  // names it has
};

// Of a file system, bytes.
struct SpaceStatus {
  std::uint64_t free = 0;  // for this process
  std::uint64_t total = 0;
  std::uint64_t device = 0;
};

struct FileOp {
  enum class Kind : std::uint8_t {
    open,            // `path` for reading and writing; ENOENT if it is not there
    open_to_read,    // as open, for reading
    create,          // `path`, which must not be there, with `mode`
    open_or_create,  // `path`; with `mode` if it is not there
    close,
    read,    // exactly into.size() bytes at `offset`; EIO at the end of the file
    write,   // `bytes` at `offset`
    append,  // `bytes` at the end of the file, wherever that is by now; `status`, if given, is the file's afterwards
    write_file,      // the first `size` bytes of `source` at `offset`
    append_file,     // the first `size` bytes of `source`, at the end of the file
    zero_fill,       // `size` zeros, really written
    sync_data,       // fdatasync
    sync_all,        // fsync: bytes, size, mode and times
    sync_directory,  // the entries of the directory `path`
    make_directory,  // `path` with `mode`; there already is fine
    make_folder,     // the same, but a link that leads to a directory is none: ENOTDIR
    make_link,       // a second name `target` for `path`; an old `target` is replaced
    rename,          // `path` to `target`, replacing it
    move_file,       // as rename, but a `path` that is not there is fine
    move_beside,     // as move_file, but a `target` that is there stays: target~1, target~2, … whatever is free first
    remove,          // `path`; not there is fine
    status,          // of the open file into `status`
    status_of_path,  // of `path` into `status`; not there is fine (exists = false)
    expect_identity,  // fails with ESTALE if `path` is not the file with `status`'s device and inode
    expect_kept,      // fails with ESTALE if `path` is another file or none, and the open one has no name but one
    expect_size,      // as status; fails with ERANGE if the file is smaller than `size`
    list,             // the names in the directory `path` into `names`
    reserve,          // space for `size` bytes; ENOSPC if there is none, or if less than `keep_free` bytes would stay
                      // free. Where a file system cannot, that is fine
    share,            // the file belongs to the group of the directory `path`, where that may be done
    finish,           // the file ends at `size` and has `mode`'s permissions and, if given, the time `mtime`
    drop_cached,      // memory that holds `size` bytes at `offset` is given back, where they are synced
    hash,             // `bytes` go into `digest`
    space_of_path,    // of the file system that `path` is on, into `space`
    measure,          // the bytes of all files in the directory `path` and below it, into `measured`
  };
  Kind kind{};
  File* file = nullptr;
  File* source = nullptr;
  std::string path;
  std::string target;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint32_t mode = 0;
  ByteView bytes;
  bool is_past_cache = false;  // write: not through the page cache, where that can be
  std::span<std::uint8_t> into;
  FileStatus* status = nullptr;
  std::vector<std::string>* names = nullptr;
  std::optional<FileDescription::Time> mtime;
  FileDigest* digest = nullptr;
  std::uint64_t keep_free = 0;
  SpaceStatus* space = nullptr;
  std::uint64_t* measured = nullptr;
};

struct JobResult {
  int error = 0;              // errno of the operation that failed; 0: all were run
  std::size_t operation = 0;  // its place in the job
  Duration sync_time{0};      // what its sync_data operations took
  bool ok() const { return error == 0; }
};

using Job = std::vector<FileOp>;

// The names that move_beside tries: the target's own, then with a number. One that would be too long loses its end to
// it.
inline std::string name_beside(const std::string& target, unsigned number) {
  if (number == 0) return target;
  const std::string suffix = "~" + std::to_string(number);
  const std::size_t name = target.find_last_of('/') + 1;
  return target.substr(0, name + std::min(target.size() - name, kFileNameMax - suffix.size())) + suffix;
}

class Disk {
 public:
  virtual ~Disk() = default;
  // Runs the job and waits for it. For recovery, before anybody is served.
  virtual JobResult run(Job& job) = 0;
  // Runs the job elsewhere; `done` is called on the reactor's thread. Everything the operations point at stays until
  // then.
  virtual void submit(Job job, std::function<void(JobResult)> done) = 0;
};

// Builders for the operations: short names make a job read like what it does.
namespace file_op {
using Kind = FileOp::Kind;

inline FileOp on_path(Kind kind, std::string path, std::uint32_t mode = 0) {
  FileOp op;
  op.kind = kind;
  op.path = std::move(path);
  op.mode = mode;
  return op;
}
inline FileOp on_file(Kind kind, File& file) {
  FileOp op;
  op.kind = kind;
  op.file = &file;
  return op;
}
inline FileOp open(File& file, std::string path) {
  FileOp op = on_path(Kind::open, std::move(path));
  op.file = &file;
  return op;
}
inline FileOp open_to_read(File& file, std::string path) {
  FileOp op = open(file, std::move(path));
  op.kind = Kind::open_to_read;
  return op;
}
inline FileOp create(File& file, std::string path, std::uint32_t mode) {
  FileOp op = on_path(Kind::create, std::move(path), mode);
  op.file = &file;
  return op;
}
inline FileOp open_or_create(File& file, std::string path, std::uint32_t mode) {
  FileOp op = on_path(Kind::open_or_create, std::move(path), mode);
  op.file = &file;
  return op;
}
inline FileOp close(File& file) { return on_file(Kind::close, file); }
inline FileOp read(File& file, std::uint64_t offset, std::span<std::uint8_t> into) {
  FileOp op = on_file(Kind::read, file);
  op.offset = offset;
  op.into = into;
  return op;
}
inline FileOp write(File& file, std::uint64_t offset, ByteView bytes) {
  FileOp op = on_file(Kind::write, file);
  op.offset = offset;
  op.bytes = bytes;
  return op;
}
// Begins and ends at pages of memory and of the file, else it goes through the cache.
inline FileOp write_past_cache(File& file, std::uint64_t offset, ByteView bytes) {
  FileOp op = write(file, offset, bytes);
  op.is_past_cache = true;
  return op;
}
inline FileOp append(File& file, ByteView bytes) {
  FileOp op = on_file(Kind::append, file);
  op.bytes = bytes;
  return op;
}
inline FileOp append_file(File& file, File& source, std::uint64_t size) {
  FileOp op = on_file(Kind::append_file, file);
  op.source = &source;
  op.size = size;
  return op;
}
inline FileOp write_file(File& file, std::uint64_t offset, File& source, std::uint64_t size) {
  FileOp op = append_file(file, source, size);
  op.kind = Kind::write_file;
  op.offset = offset;
  return op;
}
inline FileOp zero_fill(File& file, std::uint64_t size) {
  FileOp op = on_file(Kind::zero_fill, file);
  op.size = size;
  return op;
}
inline FileOp sync_data(File& file) { return on_file(Kind::sync_data, file); }
inline FileOp sync_all(File& file) { return on_file(Kind::sync_all, file); }
inline FileOp sync_directory(std::string path) { return on_path(Kind::sync_directory, std::move(path)); }
inline FileOp make_directory(std::string path, std::uint32_t mode) {
  return on_path(Kind::make_directory, std::move(path), mode);
}
inline FileOp make_folder(std::string path, std::uint32_t mode) {
  return on_path(Kind::make_folder, std::move(path), mode);
}
inline FileOp make_link(std::string path, std::string target) {
  FileOp op = on_path(Kind::make_link, std::move(path));
  op.target = std::move(target);
  return op;
}
inline FileOp rename(std::string path, std::string target) {
  FileOp op = make_link(std::move(path), std::move(target));
  op.kind = Kind::rename;
  return op;
}
inline FileOp move_file(std::string path, std::string target) {
  FileOp op = make_link(std::move(path), std::move(target));
  op.kind = Kind::move_file;
  return op;
}
inline FileOp move_beside(std::string path, std::string target) {
  FileOp op = make_link(std::move(path), std::move(target));
  op.kind = Kind::move_beside;
  return op;
}
inline FileOp remove(std::string path) { return on_path(Kind::remove, std::move(path)); }
inline FileOp status(File& file, FileStatus& status) {
  FileOp op = on_file(Kind::status, file);
  op.status = &status;
  return op;
}
inline FileOp status_of_path(std::string path, FileStatus& status) {
  FileOp op = on_path(Kind::status_of_path, std::move(path));
  op.status = &status;
  return op;
}
inline FileOp expect_identity(std::string path, FileStatus& status) {
  FileOp op = status_of_path(std::move(path), status);
  op.kind = Kind::expect_identity;
  return op;
}
inline FileOp expect_kept(File& file, std::string path) {
  FileOp op = on_path(Kind::expect_kept, std::move(path));
  op.file = &file;
  return op;
}
inline FileOp expect_size(File& file, std::uint64_t size, FileStatus& status) {
  FileOp op = file_op::status(file, status);
  op.kind = Kind::expect_size;
  op.size = size;
  return op;
}
inline FileOp list(std::string path, std::vector<std::string>& names) {
  FileOp op = on_path(Kind::list, std::move(path));
  op.names = &names;
  return op;
}
inline FileOp reserve(File& file, std::uint64_t size, std::uint64_t keep_free) {
  FileOp op = on_file(Kind::reserve, file);
  op.size = size;
  op.keep_free = keep_free;
  return op;
}
inline FileOp share(File& file, std::string path) {
  FileOp op = on_path(Kind::share, std::move(path));
  op.file = &file;
  return op;
}
inline FileOp finish(File& file, std::uint64_t size, std::uint32_t mode, std::optional<FileDescription::Time> mtime) {
  FileOp op = on_file(Kind::finish, file);
  op.size = size;
  op.mode = mode;
  op.mtime = mtime;
  return op;
}
inline FileOp drop_cached(File& file, std::uint64_t offset, std::uint64_t size) {
  FileOp op = on_file(Kind::drop_cached, file);
  op.offset = offset;
  op.size = size;
  return op;
}
inline FileOp hash(FileDigest& digest, ByteView bytes) {
  FileOp op;
  op.kind = Kind::hash;
  op.digest = &digest;
  op.bytes = bytes;
  return op;
}
inline FileOp space_of_path(std::string path, SpaceStatus& space) {
  FileOp op = on_path(Kind::space_of_path, std::move(path));
  op.space = &space;
  return op;
}
inline FileOp measure(std::string path, std::uint64_t& measured) {
  FileOp op = on_path(Kind::measure, std::move(path));
  op.measured = &measured;
  return op;
}
}  // namespace file_op

}  // namespace cproto
