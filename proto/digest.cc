#include "proto/digest.h"

#include <openssl/evp.h>

#include <algorithm>

#include "proto/assert.h"

namespace cproto {

namespace {

// Looking the algorithm up costs more than hashing a short piece.
const EVP_MD* sha256() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  CPROTO_ASSERT(algorithm != nullptr);
  return algorithm;
}

}  // namespace

struct FileDigest::Hash {
  Hash() : context(EVP_MD_CTX_new()) { CPROTO_ASSERT(context && EVP_DigestInit_ex2(context, sha256(), nullptr) == 1); }
  Hash(const Hash& other) : Hash() { CPROTO_ASSERT(EVP_MD_CTX_copy_ex(context, other.context) == 1); }
  Hash& operator=(const Hash&) = delete;
  ~Hash() { EVP_MD_CTX_free(context); }

  void update(ByteView bytes) { CPROTO_ASSERT(EVP_DigestUpdate(context, bytes.data(), bytes.size()) == 1); }
  Digest finish() {
    Digest digest;
    unsigned size = 0;
    CPROTO_ASSERT(EVP_DigestFinal_ex(context, digest.data(), &size) == 1 && size == digest.size());
    return digest;
  }

  EVP_MD_CTX* context;
};

namespace {

// PROTOCOL §4.7. The next link: SHA-256 of the chain so far and the piece's own digest.
template <class Hash>
Digest chained(const Digest& chain, const Digest& piece) {
  Hash link;
  link.update(chain);
  link.update(piece);
  return link.finish();
}

}  // namespace

FileDigest::FileDigest(std::uint64_t pieces, const Digest& chain) : pieces_(pieces), chain_(chain) {}
FileDigest::FileDigest(FileDigest&&) noexcept = default;
FileDigest& FileDigest::operator=(FileDigest&&) noexcept = default;
FileDigest::~FileDigest() = default;

void FileDigest::update(ByteView bytes) {
  while (!bytes.empty()) {
    if (!hash_) hash_ = std::make_unique<Hash>();
    const ByteView part = bytes.first(std::min<std::uint64_t>(bytes.size(), kPieceSize - piece_bytes_));
    hash_->update(part);
    piece_bytes_ += part.size();
    bytes = bytes.subspan(part.size());
    if (piece_bytes_ == kPieceSize) end_piece();
  }
}

void FileDigest::end_piece() {
  chain_ = chained<Hash>(chain_, hash_->finish());
  hash_.reset();
  piece_bytes_ = 0;
  ++pieces_;
}

Digest FileDigest::value() const {
  if (!hash_) return chain_;
  return chained<Hash>(chain_, Hash(*hash_).finish());
}

}  // namespace cproto
