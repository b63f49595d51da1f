#include "tests/support/memory_files.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace cproto::test {

namespace {

constexpr std::int64_t kNanoseconds = 1'000'000'000;

}  // namespace

// An open file. The disk forgets it with the process.
class MemoryFiles::Handle final : public client::OpenFile {
 public:
  Handle(MemoryFiles& files, File file, std::uint64_t inode) : files_(files), file_(file), inode_(inode) {}
  ~Handle() override {
    if (has_lock_) files_.locked_.erase(inode_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  std::optional<client::FileFacts> facts() const override {
    FileStatus status;
    errno = files_.run(file_op::status(file_, status));
    return errno == 0 ? std::optional(files_.facts_from(status)) : std::nullopt;
  }
  std::ptrdiff_t read(std::span<std::uint8_t> room, std::uint64_t offset) const override {
    FileStatus status;
    int error = files_.run(file_op::status(file_, status));
    const std::uint64_t there = status.size - std::min(status.size, offset);
    const std::size_t size = std::min<std::uint64_t>(room.size(), there);
    if (error == 0 && size > 0) error = files_.run(file_op::read(file_, offset, room.first(size)));
    errno = error;
    return error == 0 ? static_cast<std::ptrdiff_t>(size) : -1;
  }
  int write(ByteView bytes, std::uint64_t offset) override {
    const int error = files_.run(file_op::write(file_, offset, bytes));
    files_.stamp(inode_);
    return error;
  }
  int sync() override { return files_.run(file_op::sync_all(file_)); }
  int lock() override {
    if (!files_.locked_.insert(inode_).second) return EWOULDBLOCK;
    has_lock_ = true;
    return 0;
  }

 private:
  MemoryFiles& files_;
  mutable File file_;
  std::uint64_t inode_;
  bool has_lock_ = false;
};

int MemoryFiles::run(FileOp op) const {
  Job job;
  job.push_back(std::move(op));
  return const_cast<MemoryDisk&>(disk).run(job).error;
}

client::FileFacts MemoryFiles::facts_from(const FileStatus& status) const {
  client::FileFacts facts;
  facts.device = status.device;
  facts.inode = status.inode;
  facts.size = status.size;
  facts.mode = S_IFREG | 0640;
  if (const auto it = times_.find(status.inode); it != times_.end()) {
    facts.born_ns = it->second.born_ns;
    facts.modified_ns = it->second.modified_ns;
    facts.modified = {facts.modified_ns / kNanoseconds, static_cast<std::uint32_t>(facts.modified_ns % kNanoseconds)};
  }
  return facts;
}

void MemoryFiles::stamp(std::uint64_t inode) {
  const std::int64_t now = clock_();
  times_.try_emplace(inode, Times{now, now}).first->second.modified_ns = now;
}

int MemoryFiles::open(const std::string& path, Access access, std::unique_ptr<client::OpenFile>& opened) {
  File file;
  const bool creates = access == Access::write_or_create;
  if (const int error = run(creates ? file_op::open_or_create(file, path, 0600) : file_op::open_to_read(file, path)))
    return error;
  const std::uint64_t inode = disk.inode_of(path);
  if (!times_.contains(inode)) stamp(inode);
  opened = std::make_unique<Handle>(*this, file, inode);
  return 0;
}

std::optional<client::FileFacts> MemoryFiles::facts_of(const std::string& path) const {
  FileStatus status;
  errno = run(file_op::status_of_path(path, status));
  if (errno == 0 && !status.exists) errno = ENOENT;
  return errno == 0 ? std::optional(facts_from(status)) : std::nullopt;
}

int MemoryFiles::list(const std::string& directory, std::vector<std::string>& names) const {
  return run(file_op::list(directory, names));
}

int MemoryFiles::make_directory(const std::string& path, unsigned mode) {
  return disk.exists(path) ? EEXIST : run(file_op::make_directory(path, mode));
}

int MemoryFiles::sync_directory(const std::string& path) { return run(file_op::sync_directory(path)); }
int MemoryFiles::remove(const std::string& path) { return run(file_op::remove(path)); }

// --- as another program would ---

void MemoryFiles::append(const std::string& path, ByteView bytes) {
  Bytes all = disk.read_file(path);
  cproto::append(all, bytes);
  disk.write_file(path, all);
  stamp(disk.inode_of(path));
}

void MemoryFiles::copy(const std::string& path, const std::string& target) {
  disk.write_file(target, disk.read_file(path));
  stamp(disk.inode_of(target));
}

void MemoryFiles::rename(const std::string& path, const std::string& target) {
  disk.never_crash();
  disk.rename_file(path, target);
  (void)sync_directory(client::directory_of(target));
}

void MemoryFiles::remove_file(const std::string& path) {
  disk.never_crash();
  disk.remove_file(path);
  (void)sync_directory(client::directory_of(path));
}

void MemoryFiles::truncate(const std::string& path) {
  disk.write_file(path, {});
  stamp(disk.inode_of(path));
}

}  // namespace cproto::test
