// A disk in memory that does what real ones do at the worst moment. Directories, inodes and hard links; a page cache,
// and below it what would survive a power cut. A process that is killed leaves the page cache; a power cut takes it,
// and of what was not synced it loses, keeps or tears each file as the seed says: at a byte, at a sector, or any
// sectors of it.
//
// What it promises is as little as POSIX does: bytes are durable once their file was synced, names once their directory
// was. Of names that were not synced a power cut keeps those made up to some moment, or any of them; a rename is there
// or is not.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/disk.h"
#include "proto/random.h"
#include "proto/time.h"

namespace cproto::test {

// What a power cut does to bytes that were not synced.
enum class Loss : std::uint8_t { drawn, everything, nothing };

// What power cuts did so far, by kind.
struct DiskLosses {
  std::uint64_t lost = 0;          // files whose unsynced bytes are all gone
  std::uint64_t kept = 0;          // that have them all the same
  std::uint64_t torn_sectors = 0;  // that end at a sector
  std::uint64_t torn_bytes = 0;    // that end within one
  std::uint64_t out_of_order = 0;  // that have some sectors, and not those before
  std::uint64_t names_lost = 0;    // changes of directories
  std::uint64_t names_out_of_order = 0;
};

// Thrown out of run() and advance_to() when the operations allowed by crash_after() are used up: the process is dead.
struct ProcessDied {};

class MemoryDisk final : public Disk {
 public:
  explicit MemoryDisk(std::uint64_t seed = 0);
  ~MemoryDisk() override;

  // --- Disk ---
  JobResult run(Job& job) override;
  void submit(Job job, std::function<void(JobResult)> done) override;

  // --- time: a job takes `latency` of it, and is carried out at its end ---
  std::function<Duration(const Job&)> latency;
  Instant now() const { return now_; }
  Instant next_completion() const;
  // Carries out what is due by then, and tells.
  void advance_to(Instant now);
  // Until nothing is under way; time passes as the jobs take it.
  void drain();
  std::size_t jobs_under_way() const { return jobs_.size(); }

  // --- the worst moments ---
  // Jobs under way are carried out in part; nobody hears of them. Open files are closed.
  void kill_process();
  // The same, and the page cache is gone.
  void cut_power(Loss loss = Loss::drawn);
  // After so many more operations ProcessDied is thrown, before the next one.
  void crash_after(std::uint64_t operations) { operations_left_ = operations; }
  void never_crash() { operations_left_.reset(); }
  std::uint64_t operations() const { return operations_; }
  // What a power cut at this moment would leave at the least.
  std::unique_ptr<MemoryDisk> durable_copy() const;
  const DiskLosses& losses() const { return losses_; }

  // Its number as a device, which another boot may change.
  std::uint64_t device = 1;

  // --- faults ---
  // Asked before each operation, with the path it is about; an errno makes it fail. A failing write or append may get
  // some of its bytes to the file; a failing sync leaves what was not synced marked clean, as Linux does.
  std::function<int(const FileOp&, const std::string& path)> fault;
  // Asked behind a read of so many bytes: the bit that comes back flipped, if one does. The disk itself is intact.
  std::function<std::optional<std::uint64_t>(std::uint64_t bits)> misread;

  // --- what is durable ---
  // Called when a file was synced, with the bytes of it that went to the disk.
  std::function<void(const std::string& path, std::uint64_t begin, std::uint64_t end)> on_synced;
  // Whether a power cut leaves this name, and the first `size` bytes of its file as they are now.
  bool is_durable(const std::string& path, std::uint64_t size) const;
  // What of it a power cut leaves for certain. Lives until the next operation.
  ByteView durable_bytes(const std::string& path) const;

  // Of the file system a path is on; not set: there is plenty. What is written takes nothing of it.
  std::function<SpaceStatus(const std::string& path)> space;

  // --- as another program would ---
  bool exists(const std::string& path) const { return find(path) != nullptr; }
  Bytes read_file(const std::string& path) const;
  void write_file(const std::string& path, ByteView bytes);  // made if it is not there; durable at once
  void rename_file(const std::string& path, const std::string& target);
  void remove_file(const std::string& path);
  std::uint32_t mode_of(const std::string& path) const;
  std::optional<FileDescription::Time> mtime_of(const std::string& path) const;
  void truncate_file(const std::string& path, std::uint64_t size);
  void make_directories(const std::string& path);
  std::vector<std::string> list_directory(const std::string& path) const;
  bool is_directory(const std::string& path) const;
  std::uint64_t size_of(const std::string& path) const;
  // The lowest place at which a byte of this file was ever changed or cut off, behind the last forget_changes();
  // nullopt: it has only grown.
  std::optional<std::uint64_t> changed_at(const std::string& path) const;
  void forget_changes();
  std::uint64_t inode_of(const std::string& path) const;
  // Durable too: what the medium itself did.
  void flip(const std::string& path, std::uint64_t offset, std::uint8_t mask = 1);
  std::size_t open_files() const { return handles_.size(); }

 private:
  static constexpr std::uint64_t kUnchanged = ~std::uint64_t{0};
  struct Inode;
  using InodePtr = std::shared_ptr<Inode>;
  using Entries = std::map<std::string, InodePtr, std::less<>>;
  // A change of names in one directory, not durable yet: nullptr removes. A rename to another directory is one change
  // in each of the two, and they become durable together.
  struct Change {
    std::vector<std::pair<std::string, InodePtr>> entries;
    std::uint64_t rename = 0;  // the same number in both; 0: no such rename
    InodePtr other{};          // directory
  };
  struct Attributes {
    std::uint32_t mode = 0;
    std::optional<FileDescription::Time> mtime;
  };
  struct Inode {
    std::uint64_t number = 0;
    bool is_directory = false;
    std::string path;  // it was made under, for faults
    Bytes cache;
    Bytes durable;
    std::vector<std::uint8_t> dirty;  // by sector
    std::size_t dirty_end = 0;
    std::size_t dirty_begin = 0;
    bool size_is_dirty = false;
    bool has_dropped = false;  // a sync failed: the cache has, and calls clean, what the disk does not have
    std::uint64_t links = 0;
    std::uint64_t changed_at = kUnchanged;
    Attributes attributes;
    Attributes durable_attributes;
    Entries entries;
    Entries durable_entries;
    std::deque<Change> changes;
  };
  struct RunningJob {
    Instant at;
    std::uint64_t order = 0;
    Job job;
    std::function<void(JobResult)> done;
  };
  struct Place {
    InodePtr directory;
    std::string name;
  };
  enum class View : std::uint8_t { cached, durable };

  InodePtr make_inode(bool is_directory, const std::string& path);
  InodePtr find(std::string_view path, View view = View::cached) const;
  Place place_of(const std::string& path) const;
  static void apply(Entries& entries, const Change& change);
  static void change(Inode& directory, Change change);
  static void count_links(const Inode& directory);
  static std::uint64_t measure(const Inode& directory);
  SpaceStatus space_at(const std::string& path) const;
  int run_operation(FileOp& op);
  int try_operation(FileOp& op);
  int open(FileOp& op, bool may_be_new, bool must_be_new);
  int link(const std::string& path, const std::string& target);
  int rename(const std::string& path, const std::string& target);
  int move_beside(const std::string& path, const std::string& target);
  int remove(const std::string& path);
  static int read(const Inode& inode, std::uint64_t offset, std::span<std::uint8_t> into);
  void flip_read(std::span<std::uint8_t> into) const;
  static std::span<std::uint8_t> touch(Inode& inode, std::uint64_t offset, std::uint64_t size);
  static void write(Inode& inode, std::uint64_t offset, ByteView bytes);
  static void fill_with_zeros(Inode& inode, std::uint64_t size);
  static void truncate(Inode& inode, std::uint64_t size);
  void sync(Inode& inode);
  void fail_partly(const FileOp& op);
  void run_partly(FileOp& op);
  const std::string& path_of(const FileOp& op) const;
  InodePtr inode_of_file(const File* file) const;
  void lose(Inode& inode, Loss loss);
  void keep_bytes(Inode& inode, std::uint64_t how);
  static void make_durable(Inode& directory, std::size_t changes);
  void keep_any_names(Inode& directory, std::map<std::uint64_t, bool>& renames);
  static void collect_directories(const InodePtr& directory, std::vector<InodePtr>& found);
  void lose_names(Loss loss);
  void lose_bytes(Inode& inode, Loss loss);
  static void copy_durable(const Inode& from, Inode& to, std::map<const Inode*, InodePtr>& copies);

  Random random_;
  Instant now_{};
  InodePtr root_;
  std::uint64_t next_inode_ = 1;
  int next_handle_ = 3;
  std::map<int, InodePtr> handles_;
  std::vector<RunningJob> jobs_;
  std::uint64_t next_order_ = 0;
  std::optional<std::uint64_t> operations_left_;
  std::uint64_t operations_ = 0;
  std::uint64_t renames_ = 0;
  DiskLosses losses_;
};

}  // namespace cproto::test
