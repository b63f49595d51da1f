// The client's disk, in memory: a MemoryDisk, with its faults and its worst moments, behind the client's interface; and
// beside it what the daemon has no use for, the times of files and their locks.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "client/files.h"
#include "tests/support/memory_disk.h"

namespace cproto::test {

class MemoryFiles final : public client::Files {
 public:
  // `clock` says the time of files, in nanoseconds since 1970.
  MemoryFiles(std::uint64_t seed, std::function<std::int64_t()> clock) : disk(seed), clock_(std::move(clock)) {}

  // Its operations are counted, fail and end the process as those of the daemon's jobs.
  MemoryDisk disk;

  // --- Files ---
  int open(const std::string& path, Access access, std::unique_ptr<client::OpenFile>& opened) override;
  std::optional<client::FileFacts> facts_of(const std::string& path) const override;
  int list(const std::string& directory, std::vector<std::string>& names) const override;
  std::string follow_links(const std::string& path) const override { return path; }
  int make_directory(const std::string& path, unsigned mode) override;
  int sync_directory(const std::string& path) override;
  int remove(const std::string& path) override;
  std::int64_t clock_ns() const override { return clock_(); }

  // --- as another program would; durable at once ---
  void append(const std::string& path, ByteView bytes);  // made if it is not there
  void copy(const std::string& path, const std::string& target);
  void truncate(const std::string& path);
  // The process lives on, whatever was planned for it.
  void rename(const std::string& path, const std::string& target);
  void remove_file(const std::string& path);

 private:
  class Handle;
  struct Times {
    std::int64_t born_ns = 0;
    std::int64_t modified_ns = 0;
  };
  int run(FileOp op) const;
  client::FileFacts facts_from(const FileStatus& status) const;
  void stamp(std::uint64_t inode);

  std::function<std::int64_t()> clock_;
  std::map<std::uint64_t, Times> times_;  // by inode
  std::set<std::uint64_t> locked_;        // inodes
};

}  // namespace cproto::test
