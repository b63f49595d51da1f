// A FileDigest that looks at nothing, in place of proto/digest.cc: for the two programs of the bench that show what a
// file costs without it. Such programs agree with each other and with nobody else, and are never installed.
#include "proto/digest.h"

namespace cproto {

struct FileDigest::Hash {};

FileDigest::FileDigest(std::uint64_t pieces, const Digest& chain) : pieces_(pieces), chain_(chain) {}
FileDigest::FileDigest(FileDigest&&) noexcept = default;
FileDigest& FileDigest::operator=(FileDigest&&) noexcept = default;
FileDigest::~FileDigest() = default;

void FileDigest::update(ByteView bytes) {
  const std::uint64_t size = piece_bytes_ + bytes.size();
  pieces_ += size / kPieceSize;
  piece_bytes_ = size % kPieceSize;
}

Digest FileDigest::value() const { return chain_; }

}  // namespace cproto
