#include "daemon/batch.h"

#include <utility>

#include "proto/checksum.h"
#include "proto/frame.h"

namespace cproto {

namespace {

constexpr std::uint64_t kBatchMagic = 0x4350424154434831;  // "CPBATCH1"
constexpr std::size_t kBatchChecksumAt = 76;
constexpr std::size_t kRunChecksumAt = 32;
constexpr std::size_t kRecordChecksumAt = 36;
constexpr std::size_t kAlign = 8;

constexpr std::size_t padded(std::size_t size) { return (size + kAlign - 1) / kAlign * kAlign; }

std::uint32_t record_checksum(const std::uint8_t* header, RecordType type, ByteView body) {
  const std::uint32_t checksum = crc32(0, {header, kRecordChecksumAt});
  return type == RecordType::frames ? checksum : crc32(checksum, body);
}

// STORE §4.1. Over the checksum fields of a run's frames.
class RunChecksum {
 public:
  void add(std::uint32_t field) {
    store_be(fields_ + used_, field);
    used_ += sizeof field;
    if (used_ == sizeof fields_) value_ = crc32(value_, {fields_, std::exchange(used_, 0)});
  }
  std::uint32_t value() const { return crc32(value_, {fields_, used_}); }

 private:
  std::uint8_t fields_[64 * sizeof(FrameHeader::checksum)];
  std::size_t used_ = 0;
  std::uint32_t value_ = 0;
};

// As far as the frames can be walked.
std::uint32_t run_checksum(ByteView frames) {
  RunChecksum checksum;
  while (frames.size() >= kHeaderSize) {
    const FrameHeader header = decode_header(frames.data());
    checksum.add(header.checksum);
    frames = frames.subspan(std::min(frames.size(), kHeaderSize + header.payload_size));
  }
  return checksum.value();
}

// The same of a run that is intact, in one walk; else nullopt.
std::optional<std::uint32_t> intact_run_checksum(ByteView frames, std::uint32_t count) {
  RunChecksum checksum;
  std::uint32_t seen = 0;
  while (!frames.empty()) {
    if (frames.size() < kHeaderSize) return std::nullopt;
    const FrameHeader header = decode_header(frames.data());
    if (header.payload_size > frames.size() - kHeaderSize) return std::nullopt;
    if (frame_checksum(frames.data(), header.payload_size) != header.checksum) return std::nullopt;
    checksum.add(header.checksum);
    frames = frames.subspan(kHeaderSize + header.payload_size);
    ++seen;
  }
  if (seen != count) return std::nullopt;
  return checksum.value();
}

struct Parsed {
  Record record;
  std::size_t size = 0;  // with padding; 0: the header cannot be read
  bool is_intact = false;
};

// A header is believed when it names this batch and its size fits; of frames also when its own checksum agrees.
Parsed parse_record(const BatchHeader& header, ByteView rest, Check check) {
  Parsed parsed;
  if (rest.size() < kRecordHeaderSize) return parsed;
  ByteReader reader(rest);
  const std::uint32_t batch = reader.u32();
  parsed.record.type = static_cast<RecordType>(reader.u8());
  reader.bytes(3);
  const std::uint32_t size = reader.u32();
  parsed.record.count = reader.u32();
  parsed.record.session = reader.u64();
  parsed.record.first = {reader.u64()};
  const std::uint32_t run = reader.u32();
  const std::uint32_t checksum = reader.u32();
  if (batch != static_cast<std::uint32_t>(header.number) || size > rest.size() - kRecordHeaderSize) return parsed;
  parsed.record.body = rest.subspan(kRecordHeaderSize, size);
  if (check != Check::nothing && record_checksum(rest.data(), parsed.record.type, parsed.record.body) != checksum)
    return parsed;
  parsed.size = kRecordHeaderSize + padded(size);
  parsed.is_intact = check != Check::everything || parsed.record.type != RecordType::frames ||
                     intact_run_checksum(parsed.record.body, parsed.record.count) == run;
  return parsed;
}

}  // namespace

std::uint32_t batch_size(std::size_t used) {
  const std::size_t size = kBatchHeaderSize + used + kBatchHeaderSize;
  return static_cast<std::uint32_t>((size + kBlockSize - 1) / kBlockSize * kBlockSize);
}

void encode_batch_header(BatchHeader& header, std::uint8_t* out) {
  Bytes bytes;
  bytes.reserve(kBatchHeaderSize);
  ByteWriter writer(bytes);
  writer.u64(kBatchMagic);
  writer.id(header.store);
  writer.u64(header.number);
  writer.u32(header.segment);
  writer.u32(header.offset);
  writer.u32(header.size);
  writer.u32(header.used);
  writer.u64(header.previous);
  writer.u32(header.previous_checksum);
  writer.u32(static_cast<std::uint32_t>(header.secret >> 32));
  writer.u64(header.tail);
  writer.u32(static_cast<std::uint32_t>(header.secret));
  header.checksum = crc32(0, bytes);
  writer.u32(header.checksum);
  std::memcpy(out, bytes.data(), kBatchHeaderSize);
}

std::optional<BatchHeader> decode_batch_header(const std::uint8_t* p) {
  ByteReader reader({p, kBatchHeaderSize});
  if (reader.u64() != kBatchMagic) return std::nullopt;
  BatchHeader header;
  header.store = reader.id();
  header.number = reader.u64();
  header.segment = reader.u32();
  header.offset = reader.u32();
  header.size = reader.u32();
  header.used = reader.u32();
  header.previous = reader.u64();
  header.previous_checksum = reader.u32();
  header.secret = std::uint64_t{reader.u32()} << 32;
  header.tail = reader.u64();
  header.secret |= reader.u32();
  header.checksum = reader.u32();
  if (crc32(0, {p, kBatchChecksumAt}) != header.checksum) return std::nullopt;
  // Near 2^32 the size of a batch wraps, and what is used would reach beyond it.
  if (header.used > header.size || batch_size(header.used) != header.size) return std::nullopt;
  return header;
}

void append_record(const Record& record, std::uint64_t batch, Bytes& out) {
  std::uint8_t header[kRecordHeaderSize] = {};
  store_be(header, static_cast<std::uint32_t>(batch));
  header[4] = static_cast<std::uint8_t>(record.type);
  store_be(header + 8, static_cast<std::uint32_t>(record.body.size()));
  store_be(header + 12, record.count);
  store_be(header + 16, record.session);
  store_be(header + 24, record.first.value);
  if (record.type == RecordType::frames) store_be(header + kRunChecksumAt, run_checksum(record.body));
  store_be(header + kRecordChecksumAt, record_checksum(header, record.type, record.body));
  append(out, header);
  append(out, record.body);
  out.resize(out.size() + padded(record.body.size()) - record.body.size());
}

void visit_records(const BatchHeader& header, ByteView bytes, const RecordVisitor& visitor, Check check) {
  ByteView rest = bytes.subspan(kBatchHeaderSize).first(header.used);
  bool is_lost = false;  // looking for the next header that can be read
  while (!rest.empty()) {
    const Parsed parsed = parse_record(header, rest, check);
    if (parsed.size == 0) {
      if (!is_lost) visitor.damaged(std::nullopt);
      is_lost = true;
      rest = rest.subspan(std::min(kAlign, rest.size()));
      continue;
    }
    is_lost = false;
    parsed.is_intact ? visitor.each(parsed.record) : visitor.damaged(parsed.record);
    rest = rest.subspan(std::min(parsed.size, rest.size()));
  }
}

bool frames_are_intact(ByteView frames, std::uint32_t count) { return intact_run_checksum(frames, count).has_value(); }

bool batch_checks(const BatchHeader& header, ByteView bytes, Check check) {
  if (bytes.size() != header.size) return false;
  const auto first = decode_batch_header(bytes.data());
  const auto last = decode_batch_header(bytes.data() + bytes.size() - kBatchHeaderSize);
  if (!first || !last || first->checksum != header.checksum || last->checksum != header.checksum) return false;
  bool is_intact = true;
  visit_records(header, bytes, {[](const Record&) {}, [&](const std::optional<Record>&) { is_intact = false; }}, check);
  return is_intact;
}

bool is_intact_batch(std::uint64_t number, ByteView bytes) {
  if (bytes.size() < kBatchHeaderSize) return false;
  const auto header = decode_batch_header(bytes.data());
  return header && header->number == number && batch_checks(*header, bytes);
}

}  // namespace cproto
