// The disk's limit: preallocated append and fdatasync of the same bytes, with nothing else done. The file is filled
// with zeros really written and synced before, as the segments of the daemon's journal are.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/bytes.h"
#include "proto/time.h"

namespace cproto::bench {

// What the daemon's journal writes in: batches begin and end on a block, and are no larger than this.
inline constexpr std::uint64_t kBlockBytes = 4096;
inline constexpr std::uint64_t kBatchBytesMax = 4u << 20;

class AppendFile {
 public:
  // Makes the file in `directory` and removes its name at once. nullptr with errno set if that fails.
  static std::unique_ptr<AppendFile> make(const std::string& directory, std::uint64_t size);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  // Writes `total` bytes in batches, each padded to a block and synced; from the beginning of the file, and again from
  // there at its end. How long it took; nullopt with errno set if the disk failed.
  std::optional<Duration> append(std::uint64_t total, std::uint64_t batch_bytes);
  // The same with bytes of the caller's, at once: false with errno set if the disk failed. Adds what is missing of a
  // block to them.
  bool append(Bytes& bytes);
  // Writes and syncs `count` blocks, one by one, and says how long each took.
  std::optional<std::vector<Duration>> sync_blocks(std::uint64_t count);

 private:
  AppendFile(int fd, std::uint64_t size);
  bool write_and_sync(ByteView bytes);

  int fd_;
  std::uint64_t size_;
  std::uint64_t end_ = 0;
  Bytes content_;
};

}  // namespace cproto::bench
