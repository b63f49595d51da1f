// The client's only way to a disk: what its sources are read from, and what its state is kept in. Calls are made where
// they are needed and answer at once; a file's bytes in bulk are read aside (machine.h). Two implementations: POSIX's,
// and one in memory that loses, tears and refuses.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "proto/bytes.h"
#include "proto/message.h"

namespace cproto::client {

// What the file system knows of a file.
struct FileFacts {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;  // since 1970
  std::int64_t born_ns = 0;      // 0: this file system does not know
  unsigned mode = 0;
  FileDescription::Time modified{};  // the same as modified_ns, in any century
};

// Closed, and unlocked, when it goes.
class OpenFile {
 public:
  virtual ~OpenFile() = default;
  // nullopt: errno says why.
  virtual std::optional<FileFacts> facts() const = 0;
  // What there is at `offset`, as much as there is room for. Returns how much, 0 at the end, or -1 and errno. May be
  // called from any thread.
  virtual std::ptrdiff_t read(std::span<std::uint8_t> room, std::uint64_t offset) const = 0;
  // All of `bytes`. Returns 0 or errno; then some of them may be there.
  [[nodiscard]] virtual int write(ByteView bytes, std::uint64_t offset) = 0;
  // Bytes and size survive a power cut; for its name, sync its directory. Returns 0 or errno.
  [[nodiscard]] virtual int sync() = 0;
  // Nobody else gets this file's lock. Returns 0 or errno; EWOULDBLOCK: somebody has it.
  [[nodiscard]] virtual int lock() = 0;
};

class Files {
 public:
  virtual ~Files() = default;

  enum class Access {
    read,            // opening neither waits for anything nor takes a terminal
    write_or_create  // reading, too; a new one is its owner's alone
  };
  // Returns 0 or errno.
  [[nodiscard]] virtual int open(const std::string& path, Access access, std::unique_ptr<OpenFile>& opened) = 0;
  // Follows symbolic links. nullopt: errno says why.
  virtual std::optional<FileFacts> facts_of(const std::string& path) const = 0;
  // Adds the names in a directory. Returns 0 or errno; then some may be there.
  [[nodiscard]] virtual int list(const std::string& directory, std::vector<std::string>& names) const = 0;
  // The last component is no symbolic link any more. Also if the file is not there.
  virtual std::string follow_links(const std::string& path) const = 0;
  // Returns 0 or errno; EEXIST: there is something of that name.
  [[nodiscard]] virtual int make_directory(const std::string& path, unsigned mode) = 0;
  // The names in a directory survive a power cut. Returns 0 or errno.
  [[nodiscard]] virtual int sync_directory(const std::string& path) = 0;
  // Returns 0 or errno.
  virtual int remove(const std::string& path) = 0;
  // The clock that files are stamped with, in nanoseconds since 1970.
  virtual std::int64_t clock_ns() const = 0;
};

// `path` and what leads to it, where it is not there; a new one's last is its owner's alone. Then their names survive a
// power cut. Returns 0 or errno.
[[nodiscard]] int make_directories(Files& files, const std::string& path);

// "." for a name alone.
inline std::string directory_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace cproto::client
