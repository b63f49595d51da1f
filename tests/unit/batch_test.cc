#include "daemon/batch.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "proto/random.h"
#include "tests/support/frames.h"

using namespace cproto;
using namespace cproto::test;

namespace {

// A batch with a skipped number, a run of two frames, and a session's end.
struct ABatch {
  ABatch() {
    bytes.resize(kBatchHeaderSize);
    const Bytes run = join({data(8, "hello"), data(9, "world")});
    append_record({.type = RecordType::skipped, .session = 3, .first = {7}, .count = 1, .body = as_bytes("why")},
                  header.number, bytes);
    append_record({.type = RecordType::frames, .session = 3, .first = {8}, .count = 2, .body = run}, header.number,
                  bytes);
    append_record({.type = RecordType::forget, .session = 4, .first = {}, .count = 0, .body = {}}, header.number,
                  bytes);
    header.used = static_cast<std::uint32_t>(bytes.size() - kBatchHeaderSize);
    header.size = batch_size(header.used);
    bytes.resize(header.size);
    encode_batch_header(header, bytes.data());
    std::copy_n(bytes.begin(), kBatchHeaderSize, bytes.end() - kBatchHeaderSize);
  }
  // "skipped 7, frames 8, damaged": what a visit finds.
  std::string visit(Check check = Check::everything) const {
    std::string found;
    const auto name = [](const Record& record) {
      return std::to_string(static_cast<int>(record.type)) + "/" + std::to_string(record.session) + " ";
    };
    visit_records(header, bytes,
                  {[&](const Record& record) { found += name(record); },
                   [&](const std::optional<Record>& record) { found += record ? "!" + name(*record) : "? "; }},
                  check);
    return found;
  }
  BatchHeader header{.store = store_id(),
                     .number = 0x1'0000'0005,
                     .segment = 2,
                     .offset = 3 * kBlockSize,
                     .size = 0,
                     .used = 0,
                     .previous = 4,
                     .previous_checksum = 0xabcd,
                     .tail = 3,
                     .checksum = 0};
  Bytes bytes;
};

}  // namespace

TEST_CASE("batch: a header is read as it was written") {
  const ABatch batch;
  const auto header = decode_batch_header(batch.bytes.data());
  REQUIRE(header);
  CHECK(header->store == store_id());
  CHECK(header->number == 0x1'0000'0005);
  CHECK(header->segment == 2);
  CHECK(header->offset == 3 * kBlockSize);
  CHECK(header->size == kBlockSize);
  CHECK(header->used == batch.header.used);
  CHECK(header->previous == 4);
  CHECK(header->previous_checksum == 0xabcd);
  CHECK(header->tail == 3);
  CHECK(header->checksum == batch.header.checksum);
}

TEST_CASE("batch: the fields are where the store's page says") {
  const ABatch batch;
  const std::uint8_t* p = batch.bytes.data();
  CHECK(as_text({p, 8}) == "CPBATCH1");
  CHECK(load_be<std::uint64_t>(p + 24) == 0x1'0000'0005);
  CHECK(load_be<std::uint32_t>(p + 32) == 2);
  CHECK(load_be<std::uint32_t>(p + 36) == 3 * kBlockSize);
  CHECK(load_be<std::uint32_t>(p + 40) == kBlockSize);
  CHECK(load_be<std::uint64_t>(p + 48) == 4);
  CHECK(load_be<std::uint64_t>(p + 64) == 3);
  CHECK(load_be<std::uint32_t>(p + 80) == 5);  // of the first record: the low half of the batch's number
  CHECK(p[84] == 2);
  CHECK(load_be<std::uint64_t>(p + 96) == 3);
  CHECK(load_be<std::uint64_t>(p + 104) == 7);
}

TEST_CASE("batch: a header with any bit turned over is none") {
  for (std::size_t bit = 0; bit < kBatchHeaderSize * 8; ++bit) {
    ABatch batch;
    batch.bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    CHECK(!decode_batch_header(batch.bytes.data()));
  }
}

TEST_CASE("batch: its size is a number of blocks with room for header and trailer") {
  CHECK(batch_size(0) == kBlockSize);
  CHECK(batch_size(kBlockSize - 2 * kBatchHeaderSize) == kBlockSize);
  CHECK(batch_size(kBlockSize - 2 * kBatchHeaderSize + 1) == 2 * kBlockSize);
}

TEST_CASE("batch: a header whose sizes do not agree is none") {
  BatchHeader header{.store = {},
                     .number = 1,
                     .segment = 1,
                     .offset = 0,
                     .size = 2 * kBlockSize,
                     .used = 8,
                     .previous = 0,
                     .previous_checksum = 0,
                     .tail = 1,
                     .checksum = 0};
  SUBCASE("larger than it needs to be") {}
  SUBCASE("without bytes") { header.size = 0; }
  SUBCASE("with more records than bytes") {
    header.size = kBlockSize;
    header.used = 0xffff'ff00;
  }
  std::uint8_t out[kBatchHeaderSize];
  encode_batch_header(header, out);
  CHECK(!decode_batch_header(out));
}

TEST_CASE("batch: its records are visited in their order") {
  const ABatch batch;
  CHECK(batch.visit() == "2/3 1/3 4/4 ");
  CHECK(batch_checks(batch.header, batch.bytes));
}

TEST_CASE("batch: without records it checks") {
  BatchHeader header{.store = {},
                     .number = 1,
                     .segment = 1,
                     .offset = 0,
                     .size = kBlockSize,
                     .used = 0,
                     .previous = 0,
                     .previous_checksum = 0,
                     .tail = 1,
                     .checksum = 0};
  Bytes bytes(kBlockSize);
  encode_batch_header(header, bytes.data());
  std::copy_n(bytes.begin(), kBatchHeaderSize, bytes.end() - kBatchHeaderSize);
  CHECK(batch_checks(header, bytes));
}

TEST_CASE("batch: any bit turned over in header, records or trailer is noticed") {
  const ABatch good;
  const std::size_t used_end = kBatchHeaderSize + good.header.used;
  for (std::size_t at = 0; at < good.bytes.size(); ++at) {
    if (at == used_end) at = good.bytes.size() - kBatchHeaderSize;
    for (const std::uint8_t mask : {std::uint8_t{0x01}, std::uint8_t{0x80}}) {
      CAPTURE(at);
      ABatch batch;
      batch.bytes[at] ^= mask;
      // Zeros that pad a record to eight bytes mean nothing.
      const bool is_padding = batch.visit() == good.visit() && at >= kBatchHeaderSize && at < used_end;
      if (!is_padding) CHECK(!batch_checks(batch.header, batch.bytes));
    }
  }
}

TEST_CASE("batch: a damaged record takes no other with it") {
  ABatch batch;
  SUBCASE("the first one's header") {
    batch.bytes[kBatchHeaderSize + 8] ^= 1;
    CHECK(batch.visit() == "? 1/3 4/4 ");
  }
  SUBCASE("the first one's size, to the end of all") {
    store_be(&batch.bytes[kBatchHeaderSize + 8], std::uint32_t{0x7fff'ffff});
    CHECK(batch.visit() == "? 1/3 4/4 ");
  }
  SUBCASE("the first one's body") {
    batch.bytes[kBatchHeaderSize + kRecordHeaderSize] ^= 1;
    CHECK(batch.visit() == "? 1/3 4/4 ");
  }
  SUBCASE("a frame") {
    batch.bytes[kBatchHeaderSize + kRecordHeaderSize + 8 + kRecordHeaderSize + kHeaderSize] ^= 1;
    CHECK(batch.visit() == "2/3 !1/3 4/4 ");
  }
}

TEST_CASE("batch: a visit that leaves the frames to others takes a damaged one and no damaged record") {
  ABatch batch;
  const std::size_t frame = kBatchHeaderSize + kRecordHeaderSize + 8 + kRecordHeaderSize + kHeaderSize;
  batch.bytes[frame] ^= 1;
  CHECK(batch.visit(Check::all_but_frames) == "2/3 1/3 4/4 ");
  CHECK(batch_checks(batch.header, batch.bytes, Check::all_but_frames));
  CHECK(!batch_checks(batch.header, batch.bytes));
  batch.bytes[kBatchHeaderSize + kRecordHeaderSize] ^= 1;
  CHECK(batch.visit(Check::all_but_frames) == "? 1/3 4/4 ");
  CHECK(!batch_checks(batch.header, batch.bytes, Check::all_but_frames));
}

TEST_CASE("batch: a visit without checksums finds the records of one that checks") {
  const ABatch batch;
  CHECK(batch.visit(Check::nothing) == batch.visit());
}

TEST_CASE("batch: whatever is in it, a visit without checksums stays within it and ends") {
  Random random(6);
  for (int round = 0; round < 300; ++round) {
    ABatch batch;
    const std::size_t count = 1 + random.below(60);
    for (std::size_t i = 0; i < count; ++i)
      batch.bytes[kBatchHeaderSize + random.below(batch.header.used)] = static_cast<std::uint8_t>(random.below(256));
    CHECK(batch.visit(Check::nothing).size() < 1024);
  }
}

TEST_CASE("batch: a frame in the place of another of its number and size is noticed") {
  // More frames than are taken through the checksum at a time.
  Bytes run, others;
  for (std::uint64_t i = 1; i <= 150; ++i) {
    append(run, data(i, "mine"));
    append(others, data(i, "else"));
  }
  Bytes bytes(kBatchHeaderSize);
  append_record({.type = RecordType::frames, .session = 3, .first = {1}, .count = 150, .body = run}, 1, bytes);
  BatchHeader header{.number = 1, .used = static_cast<std::uint32_t>(bytes.size() - kBatchHeaderSize)};
  const std::size_t size = run.size() / 150;
  for (std::size_t i = 0; i < 150; ++i) {
    Bytes mixed = bytes;
    const std::size_t at = i * size;
    std::copy_n(&others[at], size, &mixed[kBatchHeaderSize + kRecordHeaderSize + at]);
    std::size_t intact = 0;
    visit_records(header, mixed, {[&](const Record&) { ++intact; }, [](const std::optional<Record>&) {}});
    CAPTURE(i);
    CHECK(intact == 0);
  }
}

TEST_CASE("batch: records of another batch's number are not its own") {
  ABatch batch;
  ++batch.header.number;
  CHECK(batch.visit() == "? ");
}

TEST_CASE("batch: a run is intact when its frames are, and are so many") {
  const Bytes run = join({data(1, "a"), fragment(2, "b")});
  CHECK(frames_are_intact(run, 2));
  CHECK(!frames_are_intact(run, 1));
  CHECK(!frames_are_intact(run, 3));
  CHECK(!frames_are_intact(damaged(run), 2));
  CHECK(!frames_are_intact(ByteView(run).first(run.size() - 1), 2));
  CHECK(frames_are_intact({}, 0));
}

TEST_CASE("batch: whatever is in it, visiting ends") {
  Random random(5);
  for (int round = 0; round < 300; ++round) {
    ABatch batch;
    const std::size_t count = 1 + random.below(60);
    for (std::size_t i = 0; i < count; ++i)
      batch.bytes[kBatchHeaderSize + random.below(batch.header.used)] = static_cast<std::uint8_t>(random.below(256));
    CHECK(batch.visit().size() < 64);
    batch_checks(batch.header, batch.bytes);
  }
}
