#include "tests/support/journal_bytes.h"

#include <algorithm>

#include "daemon/journal.h"
#include "daemon/store_format.h"
#include "proto/assert.h"
#include "tests/support/frames.h"

namespace cproto::test {

JournalBytes& JournalBytes::record(const Record& record) {
  append_record(record, number, records_);
  return *this;
}

JournalBytes& JournalBytes::session(std::uint64_t index, const std::string& channel, std::uint64_t through) {
  SessionRecord session;
  session.id = id_of_session(index);
  session.client_id = "web-1";
  session.channel = channel;
  session.attempt = 1;
  session.max_packet_size = kPacketSizeMax;
  session.position.through = {through};
  session.position.messages = through;
  Bytes body;
  encode_session(session, body);
  const Record one{.type = RecordType::session, .session = index, .first = {}, .count = 0, .body = body};
  return record(one).record(one);
}

JournalBytes& JournalBytes::message(std::uint64_t session, std::uint64_t number_of_it, std::string_view text) {
  const Bytes frame = data(number_of_it, text);
  return record({.type = RecordType::frames, .session = session, .first = {number_of_it}, .count = 1, .body = frame});
}

JournalBytes& JournalBytes::large_message(std::uint64_t session, std::uint64_t number_of_it, std::string text,
                                          std::size_t size) {
  text.resize(size, '.');
  return message(session, number_of_it, text);
}

JournalBytes& JournalBytes::forget(std::uint64_t session) {
  return record({.type = RecordType::forget, .session = session, .first = {}, .count = 0, .body = {}});
}

BatchHeader JournalBytes::write_unsynced() {
  BatchHeader header{.store = store,
                     .number = number++,
                     .segment = segment,
                     .offset = offset,
                     .size = batch_size(records_.size()),
                     .used = static_cast<std::uint32_t>(records_.size()),
                     .previous = previous,
                     .previous_checksum = previous_checksum,
                     .tail = tail,
                     .secret = secret,
                     .checksum = 0};
  Bytes bytes(header.size);
  encode_batch_header(header, bytes.data());
  std::copy_n(bytes.begin(), kBatchHeaderSize, bytes.end() - kBatchHeaderSize);
  std::copy(records_.begin(), records_.end(), bytes.begin() + kBatchHeaderSize);
  records_.clear();
  CPROTO_ASSERT(offset + header.size <= bytes_of(segment).size());
  std::copy(bytes.begin(), bytes.end(), bytes_of(segment).begin() + offset);
  return header;
}

BatchHeader JournalBytes::write() {
  const BatchHeader header = write_unsynced();
  offset += header.size;
  previous = header.number;
  previous_checksum = header.checksum;
  return header;
}

void JournalBytes::begin_segment(std::uint32_t index) {
  segment = index;
  offset = kBlockSize;
  bytes_of(index);
}

Bytes& JournalBytes::bytes_of(std::uint32_t index) {
  Bytes& bytes = segments_[index];
  if (!bytes.empty()) return bytes;
  Segment made;
  made.index = index;
  made.size = std::uint64_t{blocks_} * kBlockSize;
  bytes = segment_block(store, made);
  bytes.resize(made.size);
  return bytes;
}

std::span<std::uint8_t> JournalBytes::batch(const BatchHeader& header) {
  return std::span(bytes_of(header.segment)).subspan(header.offset, header.size);
}

void JournalBytes::save(MemoryDisk& disk) {
  disk.make_directories("/store/journal");
  disk.write_file("/store/store", encode_file_header(FileFormat::store, kStore, kSecret, 0));
  for (const auto& [index, bytes] : segments_) disk.write_file(path_of(index), bytes);
}

SessionId JournalBytes::id_of_session(std::uint64_t index) { return id_of(static_cast<std::uint8_t>(0xa0 + index)); }

std::string JournalBytes::path_of(std::uint32_t index) { return segment_path("/store/journal", index); }

}  // namespace cproto::test
