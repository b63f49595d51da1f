// PROTOCOL §4.7. The expected values were made with Python's hashlib.
#include "proto/digest.h"

#include <doctest/doctest.h>

using namespace cproto;

namespace {

Bytes some_bytes(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  return bytes;
}

std::string digest_of(ByteView bytes) {
  FileDigest digest;
  digest.update(bytes);
  return to_hex(digest.value());
}

}  // namespace

TEST_CASE("digest: of nothing it is zeros") { CHECK(FileDigest().value() == Digest{}); }

TEST_CASE("digest: a short file is one piece") {
  CHECK(digest_of(as_bytes("Hello World")) == "e7a2fba19f58b4584b776e3a8d52a941bf322360ee5f193472806cf96a4d3943");
}

TEST_CASE("digest: one piece and a byte are two pieces") {
  CHECK(digest_of(some_bytes(kPieceSize + 1)) == "d15d7dd3958961a7dbe26dba4a03e62ad187b4f00a2438dfde39a889c4648995");
}

TEST_CASE("digest: however the bytes are cut, it is the same") {
  const Bytes bytes = some_bytes(2 * kPieceSize + 12345);
  FileDigest digest;
  for (ByteView rest = bytes; !rest.empty();) {
    const std::size_t size = std::min<std::size_t>(rest.size(), 100'003);
    digest.update(rest.first(size));
    rest = rest.subspan(size);
  }
  CHECK(digest.size() == bytes.size());
  CHECK(to_hex(digest.value()) == digest_of(bytes));
}

TEST_CASE("digest: goes on behind whole pieces from their chain alone") {
  const Bytes bytes = some_bytes(2 * kPieceSize + 500);
  FileDigest first;
  first.update(ByteView(bytes).first(kPieceSize + 99));
  FileDigest second(first.pieces(), first.chain());
  CHECK(second.size() == kPieceSize);
  second.update(ByteView(bytes).subspan(kPieceSize));
  CHECK(to_hex(second.value()) == digest_of(bytes));
}

TEST_CASE("digest: asking for its value does not end it") {
  FileDigest digest;
  digest.update(as_bytes("Hello "));
  (void)digest.value();
  digest.update(as_bytes("World"));
  CHECK(to_hex(digest.value()) == digest_of(as_bytes("Hello World")));
}
