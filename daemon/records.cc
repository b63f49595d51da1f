#include "daemon/records.h"

#include <algorithm>
#include <utility>

namespace cproto {

namespace {

constexpr std::uint8_t kBegun = 1;
constexpr std::uint8_t kRefused = 2;

void put_position(ByteWriter& writer, const Position& position) {
  writer.u64(position.through.value);
  writer.u64(position.bytes);
  writer.u64(position.messages);
  const MessageState& message = position.message;
  writer.u8(static_cast<std::uint8_t>((message.is_begun ? kBegun : 0) | (message.is_refused ? kRefused : 0)));
  writer.u8(static_cast<std::uint8_t>(message.kind));
  writer.u64(message.first.value);
  writer.u64(message.bytes);
}

Position take_position(ByteReader& reader) {
  Position position;
  position.through = {reader.u64()};
  position.bytes = reader.u64();
  position.messages = reader.u64();
  const std::uint8_t flags = reader.u8();
  position.message.is_begun = (flags & kBegun) != 0;
  position.message.is_refused = (flags & kRefused) != 0;
  position.message.kind = static_cast<MessageKind>(reader.u8());
  position.message.first = {reader.u64()};
  position.message.bytes = reader.u64();
  return position;
}

void put_refusal(ByteWriter& writer, const Refusal& refusal) {
  writer.u16(static_cast<std::uint16_t>(refusal.code));
  writer.u64(refusal.first.value);
}
Refusal take_refusal(ByteReader& reader) {
  const auto code = static_cast<ErrorCode>(reader.u16());
  return {code, {reader.u64()}};
}

// In milliseconds.
void put_duration(ByteWriter& writer, Duration duration) {
  writer.u64(static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()));
}
// What is beyond any daemon's life is damage.
Duration take_duration(ByteReader& reader) {
  constexpr std::uint64_t kMax = std::uint64_t{1} << 43;
  const std::uint64_t milliseconds = reader.u64();
  if (milliseconds > kMax) reader.fail();
  return std::chrono::milliseconds(std::min(milliseconds, kMax));
}

std::string take_text(ByteReader& reader) { return std::string(as_text(reader.string16())); }
void put_text(ByteWriter& writer, std::string_view text) { writer.string16(as_bytes(text)); }

void put_pieces_head(ByteWriter& writer, const PiecesRecord& record) {
  writer.u64(record.first.value);
  writer.u64(record.through.value);
  writer.u8(static_cast<std::uint8_t>(record.kind));
  put_text(writer, record.channel);
  writer.u32(record.checksum);
  writer.u64(record.part_bytes);
}
PiecesRecord take_pieces_head(ByteReader& reader) {
  PiecesRecord record;
  record.first = {reader.u64()};
  record.through = {reader.u64()};
  record.kind = static_cast<MessageKind>(reader.u8());
  record.channel = take_text(reader);
  record.checksum = reader.u32();
  record.part_bytes = reader.u64();
  if (!is_valid_name(record.channel)) reader.fail();
  return record;
}

void put_log(ByteWriter& writer, const LogRecord& record) {
  writer.u64(record.id);
  put_text(writer, record.client_id);
  put_text(writer, record.name);
  writer.u64(record.device);
  writer.u64(record.inode);
  writer.u64(record.length);
  writer.u64(record.from);
}
// "<channel>.log" or "<channel>.bin"
bool is_log_name(std::string_view name) {
  const bool has_ending = name.ends_with(".log") || name.ends_with(".bin");
  return has_ending && is_valid_name(name.substr(0, name.size() - 4));
}

// Names lead to files, whoever wrote them.
LogRecord take_log(ByteReader& reader) {
  LogRecord record;
  record.id = reader.u64();
  record.client_id = take_text(reader);
  record.name = take_text(reader);
  record.device = reader.u64();
  record.inode = reader.u64();
  record.length = reader.u64();
  record.from = reader.u64();
  if (!is_valid_name(record.client_id) || !is_log_name(record.name)) reader.fail();
  return record;
}

}  // namespace

void encode_session(const SessionRecord& record, Bytes& out) {
  ByteWriter writer(out);
  writer.id(record.id);
  put_text(writer, record.client_id);
  put_text(writer, record.channel);
  put_text(writer, record.identity);
  writer.u8(static_cast<std::uint8_t>(record.kind));
  writer.u64(record.attempt);
  writer.u32(record.max_packet_size);
  put_duration(writer, record.last_there);
  put_position(writer, record.position);
  writer.u16(static_cast<std::uint16_t>(record.refusals.size()));
  for (const Refusal& refusal : record.refusals) put_refusal(writer, refusal);
}

std::optional<SessionRecord> decode_session(ByteView body) {
  ByteReader reader(body);
  SessionRecord record;
  record.id = reader.id();
  record.client_id = take_text(reader);
  record.channel = take_text(reader);
  record.identity = take_text(reader);
  record.kind = static_cast<MessageKind>(reader.u8());
  record.attempt = reader.u64();
  record.max_packet_size = reader.u32();
  record.last_there = take_duration(reader);
  record.position = take_position(reader);
  const std::size_t count = reader.u16();
  for (std::size_t i = 0; i < count && !reader.failed(); ++i) record.refusals.push_back(take_refusal(reader));
  if (reader.failed() || !is_valid_name(record.client_id) || !is_valid_name(record.channel)) return std::nullopt;
  return record;
}

void encode_skipped(const SkippedRecord& record, Bytes& out) {
  ByteWriter writer(out);
  put_position(writer, record.after);
  put_refusal(writer, record.refusal);
}

std::optional<SkippedRecord> decode_skipped(ByteView body) {
  ByteReader reader(body);
  SkippedRecord record;
  record.after = take_position(reader);
  record.refusal = take_refusal(reader);
  if (reader.failed()) return std::nullopt;
  return record;
}

void encode_file(const FileRecord& record, Bytes& out) {
  ByteWriter writer(out);
  writer.u64(record.first.value);
  writer.u8(static_cast<std::uint8_t>(record.state));
  put_position(writer, record.after);
  writer.u64(record.bytes);
  writer.bytes(record.chain);
  encode_message_header(record.header, out);
}

// Its name leads to a file, whoever wrote it.
std::optional<FileRecord> decode_file(ByteView body) {
  ByteReader reader(body);
  FileRecord record;
  record.first = {reader.u64()};
  const std::uint8_t state = reader.u8();
  record.after = take_position(reader);
  record.bytes = reader.u64();
  const ByteView chain = reader.bytes(record.chain.size());
  if (reader.failed() || state > static_cast<std::uint8_t>(FileRecord::State::dropped)) return std::nullopt;
  record.state = static_cast<FileRecord::State>(state);
  std::copy(chain.begin(), chain.end(), record.chain.begin());
  auto header = decode_message_header(reader.rest());
  if (!std::holds_alternative<MessageHeader>(header)) return std::nullopt;
  record.header = std::move(std::get<MessageHeader>(header));
  if (record.header.kind != MessageKind::file || !is_valid_file_name(record.header.file.name)) return std::nullopt;
  return record;
}

std::string file_part_path(const std::string& parts, std::uint64_t session, Seq first) {
  std::uint8_t name[16];
  store_be(name, session);
  store_be(name + 8, first.value);
  const std::string digits = to_hex(name);
  return parts + "/" + digits.substr(0, 16) + "-" + digits.substr(16) + ".file";
}

void encode_pieces(const PiecesRecord& record, Bytes& out) {
  ByteWriter writer(out);
  put_pieces_head(writer, record);
  writer.bytes(record.bytes);
}

std::optional<PiecesRecord> decode_pieces(ByteView body) {
  ByteReader reader(body);
  PiecesRecord record = take_pieces_head(reader);
  record.bytes = reader.rest();
  if (reader.failed()) return std::nullopt;
  return record;
}

void encode_log(const LogRecord& record, Bytes& out) {
  ByteWriter writer(out);
  put_log(writer, record);
}

std::optional<LogRecord> decode_log(ByteView body) {
  ByteReader reader(body);
  LogRecord record = take_log(reader);
  if (reader.failed()) return std::nullopt;
  return record;
}

void encode_checkpoint(const CheckpointRecord& record, Bytes& out) {
  ByteWriter writer(out);
  writer.u64(record.delivered);
  put_duration(writer, record.running_time);
  writer.u64(record.next_log_id);
  writer.u32(static_cast<std::uint32_t>(record.logs.size()));
  for (const LogRecord& log : record.logs) put_log(writer, log);
  writer.u32(static_cast<std::uint32_t>(record.parts.size()));
  for (const CheckpointRecord::Part& part : record.parts) {
    writer.u64(part.session);
    put_pieces_head(writer, part.pieces);
  }
  writer.u32(static_cast<std::uint32_t>(record.files.size()));
  for (const CheckpointRecord::File& file : record.files) {
    writer.u64(file.session);
    writer.u64(file.first.value);
    put_text(writer, file.client_id);
    put_text(writer, file.name);
  }
  writer.u32(static_cast<std::uint32_t>(record.asides.size()));
  for (const CheckpointRecord::Aside& aside : record.asides) {
    writer.u64(aside.id);
    put_text(writer, aside.client_id);
    put_text(writer, aside.name);
    writer.u64(aside.bytes);
  }
}

std::optional<CheckpointRecord> decode_checkpoint(ByteView body) {
  ByteReader reader(body);
  CheckpointRecord record;
  record.delivered = reader.u64();
  record.running_time = take_duration(reader);
  record.next_log_id = reader.u64();
  const std::size_t logs = reader.u32();
  for (std::size_t i = 0; i < logs && !reader.failed(); ++i) record.logs.push_back(take_log(reader));
  const std::size_t parts = reader.u32();
  for (std::size_t i = 0; i < parts && !reader.failed(); ++i) {
    const std::uint64_t session = reader.u64();
    record.parts.push_back({session, take_pieces_head(reader)});
  }
  const std::size_t files = reader.u32();
  for (std::size_t i = 0; i < files && !reader.failed(); ++i) {
    const std::uint64_t session = reader.u64();
    const Seq first{reader.u64()};
    std::string client_id = take_text(reader);
    std::string name = take_text(reader);
    if (!is_valid_name(client_id) || !is_valid_file_name(name)) reader.fail();
    record.files.push_back({session, first, std::move(client_id), std::move(name)});
  }
  const std::size_t asides = reader.u32();
  for (std::size_t i = 0; i < asides && !reader.failed(); ++i) {
    CheckpointRecord::Aside aside;
    aside.id = reader.u64();
    aside.client_id = take_text(reader);
    aside.name = take_text(reader);
    aside.bytes = reader.u64();
    if (!is_valid_name(aside.client_id) || !is_log_name(aside.name)) reader.fail();
    record.asides.push_back(std::move(aside));
  }
  if (reader.failed()) return std::nullopt;
  return record;
}

}  // namespace cproto
