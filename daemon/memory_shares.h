// [limits] memory, divided among those that keep what was received: each has a bound of its own, and whoever reaches it
// is not read, goes to the disk, or is sent away, so that none can take what the others need.
#pragma once

#include <algorithm>
#include <cstdint>

namespace cproto {

struct MemoryShares {
  explicit constexpr MemoryShares(std::uint64_t memory_bytes) : memory(memory_bytes) {}

  std::uint64_t memory;

  // A batch of the journal; there are two, one gathered and one on its way. One fdatasync of 4 MiB runs at the disk's
  // full rate; more would only wait longer.
  constexpr std::uint64_t batch() const { return std::clamp(memory / 16, kLeast, std::uint64_t{4} << 20); }
  // Batches that are durable and that delivery has not taken; more of them are read again from the journal.
  constexpr std::uint64_t queue() const { return memory / 8; }
  // Bytes of files, gathered for steps, and those of one step.
  constexpr std::uint64_t files() const { return memory / 4; }
  constexpr std::uint64_t step() const { return std::clamp(memory / 32, kLeast, std::uint64_t{8} << 20); }
  // Messages that are not whole; more of them goes to part files.
  constexpr std::uint64_t messages() const { return memory / 8; }
  // Frames that are not whole.
  constexpr std::uint64_t frames() const { return memory / 8; }
  // What waits for logs that cannot be written, until it is set aside.
  constexpr std::uint64_t blocked() const { return memory / 4; }

 private:
  static constexpr std::uint64_t kLeast = 64 * 1024;
};

}  // namespace cproto
