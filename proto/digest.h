// The digest of a file (PROTOCOL §4.7): SHA-256 of each piece of 4 MiB, chained. The chain is all that has to be kept
// of the pieces that are over, so that whoever goes on with a file reads at most one piece again.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "proto/bytes.h"

namespace cproto {

using Digest = std::array<std::uint8_t, 32>;

inline constexpr std::uint64_t kPieceSize = 4u << 20;

class FileDigest {
 public:
  // Of nothing yet.
  FileDigest() : FileDigest(0, {}) {}
  // Behind `pieces` whole pieces, whose chain is `chain`.
  FileDigest(std::uint64_t pieces, const Digest& chain);
  FileDigest(FileDigest&&) noexcept;
  FileDigest& operator=(FileDigest&&) noexcept;
  ~FileDigest();

  // The next bytes of the file.
  void update(ByteView bytes);

  // Bytes so far.
  std::uint64_t size() const { return pieces_ * kPieceSize + piece_bytes_; }
  std::uint64_t pieces() const { return pieces_; }
  // Of the whole pieces so far.
  const Digest& chain() const { return chain_; }
  // Of all bytes so far, as if the file ended here.
  Digest value() const;

 private:
  struct Hash;
  void end_piece();

  std::uint64_t pieces_ = 0;
  std::uint64_t piece_bytes_ = 0;  // of the piece under way
  Digest chain_{};
  std::unique_ptr<Hash> hash_;  // of the piece under way; none at its beginning
};

}  // namespace cproto
