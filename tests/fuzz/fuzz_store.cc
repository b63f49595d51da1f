// Whatever a disk gives back, reading it ends, stays within what was read, and takes nothing for a record that could
// not be written again.
#include <algorithm>

#include "daemon/batch.h"
#include "daemon/records.h"
#include "daemon/recovery.h"
#include "daemon/store_format.h"
#include "proto/assert.h"
#include "proto/checksum.h"
#include "proto/frame.h"
#include "tests/fuzz/again.h"

using namespace cproto;

namespace {

void check_record(const Record& record) {
  switch (record.type) {
    case RecordType::frames: CPROTO_ASSERT(frames_are_intact(record.body, record.count)); return;
    case RecordType::skipped: return fuzz::check_again(record.body, decode_skipped, encode_skipped);
    case RecordType::session: return fuzz::check_again(record.body, decode_session, encode_session);
    case RecordType::pieces: return fuzz::check_again(record.body, decode_pieces, encode_pieces);
    case RecordType::log_opened: return fuzz::check_again(record.body, decode_log, encode_log);
    case RecordType::checkpoint: return fuzz::check_again(record.body, decode_checkpoint, encode_checkpoint);
    case RecordType::file: return fuzz::check_again(record.body, decode_file, encode_file);
    case RecordType::forget: return;
  }
}

void check_batch(const BatchHeader& header, ByteView bytes) {
  visit_records(header, bytes, {check_record, [](const std::optional<Record>& record) {
                                  if (!record || record->type != RecordType::frames) return;
                                  salvage_frames(
                                      *record, [](Seq, ByteView frame) { CPROTO_ASSERT(frame.size() >= kHeaderSize); });
                                }});
  const auto is_within = [&](const Record& record) {
    CPROTO_ASSERT(record.body.data() + record.body.size() <= bytes.data() + bytes.size());
  };
  for (const Check check : {Check::all_but_frames, Check::nothing})
    visit_records(header, bytes, {is_within, [](const std::optional<Record>&) {}}, check);
}

BatchHeader header_for(std::size_t used) {
  BatchHeader header;
  header.number = 1;
  header.used = static_cast<std::uint32_t>(used);
  header.size = batch_size(used);
  return header;
}

Bytes batch_of(ByteView records) {
  Bytes bytes(batch_size(records.size()));
  BatchHeader header = header_for(records.size());
  encode_batch_header(header, bytes.data());
  std::copy(records.begin(), records.end(), bytes.begin() + kBatchHeaderSize);
  encode_batch_header(header, bytes.data() + bytes.size() - kBatchHeaderSize);
  return bytes;
}

// Records with the checksums they need, their contents the fuzzer's.
Bytes records_from(ByteView input) {
  ByteReader reader(input);
  Bytes records;
  while (!reader.empty()) {
    Record record;
    record.type = static_cast<RecordType>(reader.u8() % 9);
    record.count = reader.u8();
    record.first = {reader.u8()};
    record.session = record.first.value % 4;
    record.body = reader.bytes(std::min<std::size_t>(reader.u16(), reader.rest().size()));
    append_record(record, 1, records);
  }
  return records;
}

// Any header with a checksum that fits: a sender can put such bytes into a message.
void check_header(ByteView input) {
  Bytes bytes(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(std::min(input.size(), kBatchHeaderSize)));
  bytes.resize(kBatchHeaderSize);
  BatchHeader any;
  Bytes magic(kBatchHeaderSize);
  encode_batch_header(any, magic.data());
  std::copy_n(magic.begin(), 8, bytes.begin());
  store_be(bytes.data() + kBatchHeaderSize - 4, crc32(0, ByteView(bytes).first(kBatchHeaderSize - 4)));
  const auto header = decode_batch_header(bytes.data());
  if (header) CPROTO_ASSERT(header->size >= kBatchHeaderSize && header->used <= header->size - 2 * kBatchHeaderSize);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  const Bytes raw = batch_of(input);
  check_batch(header_for(size), raw);
  const Bytes records = records_from(input);
  const Bytes made = batch_of(records);
  check_batch(header_for(records.size()), made);
  check_header(input);
  Bytes file(input.begin(), input.end());
  file.resize(kFileHeaderSize);
  decode_file_header(FileFormat::segment, file);
  decode_file_header(FileFormat::store, file);
  return 0;
}
