// What tells one log from another when names and inodes do not: a checksum of a file's first bytes. A log only grows,
// so these stay. A short file has a short fingerprint, which covers more as the file grows.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "client/files.h"
#include "proto/bytes.h"

namespace cproto::client {

// Enough for the first time stamps of a log, little enough to be read at each look.
inline constexpr std::uint32_t kFingerprintBytesMax = 1024;

struct Fingerprint {
  std::uint32_t bytes = 0;  // how many of the first; of none, it fits every file
  std::uint64_t sum = 0;    // FNV-1a of them: small, and the same in every version of the program

  // The file now begins with `first`, the first kFingerprintBytesMax bytes or all there are. True if it is the same
  // file as ever; then all of `first` is covered.
  [[nodiscard]] bool follow(ByteView first);
  bool operator==(const Fingerprint&) const = default;
};

// The first bytes of an open file, in `room`; nullopt if they cannot be read.
using FirstBytes = std::array<std::uint8_t, kFingerprintBytesMax>;
std::optional<ByteView> read_first(const OpenFile& file, FirstBytes& room);

bool matches(const Fingerprint& fingerprint, const OpenFile& file);

}  // namespace cproto::client
