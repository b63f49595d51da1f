#include "daemon/store_format.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "proto/checksum.h"
#include "tests/support/frames.h"

using namespace cproto;
using namespace cproto::test;

namespace {
Bytes a_segment() { return encode_file_header(FileFormat::segment, store_id(), 7, 16'384); }
}  // namespace

TEST_CASE("store_format: a header is read as it was written") {
  const auto header = decode_file_header(FileFormat::segment, a_segment());
  REQUIRE(header);
  CHECK(header->format == kStoreFormat);
  CHECK(header->program == CPROTO_VERSION);
  CHECK(header->store == store_id());
  CHECK(header->number == 7);
  CHECK(header->blocks == 16'384);
}

TEST_CASE("store_format: magic, format and program are where all versions look for them") {
  const Bytes segment = a_segment();
  CHECK(segment.size() == kFileHeaderSize);
  CHECK(as_text(ByteView(segment).first(8)) == "CPROTSG0");
  CHECK(load_be<std::uint32_t>(&segment[8]) == 1);
  CHECK(as_text(ByteView(segment).subspan(12, 5)) == CPROTO_VERSION);
  CHECK(as_text(ByteView(encode_file_header(FileFormat::store, store_id(), 0, 0)).first(8)) == "CPROTST0");
}

TEST_CASE("store_format: one kind of file is not taken for the other") {
  CHECK(!decode_file_header(FileFormat::store, a_segment()));
  CHECK(!decode_file_header(FileFormat::segment, encode_file_header(FileFormat::store, store_id(), 0, 0)));
}

TEST_CASE("store_format: a header that is cut short is none") {
  const Bytes segment = a_segment();
  for (std::size_t size = 0; size < segment.size(); ++size)
    CHECK(!decode_file_header(FileFormat::segment, ByteView(segment).first(size)));
}

TEST_CASE("store_format: a header with any bit turned over is none") {
  for (std::size_t bit = 0; bit < kFileHeaderSize * 8; ++bit) {
    Bytes segment = a_segment();
    segment[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    CHECK(!decode_file_header(FileFormat::segment, segment));
  }
}

TEST_CASE("store_format: of a newer format only the program is read") {
  Bytes segment = a_segment();
  store_be(&segment[8], kStoreFormat + 1);
  std::copy_n("9.9.9", 6, segment.begin() + 12);
  store_be(&segment[60], crc32(0, ByteView(segment).first(60)));
  const auto header = decode_file_header(FileFormat::segment, segment);
  REQUIRE(header);
  CHECK(header->format == kStoreFormat + 1);
  CHECK(header->program == "9.9.9");
  CHECK(header->number == 0);
}
