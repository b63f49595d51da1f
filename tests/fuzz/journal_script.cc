#include "tests/fuzz/journal_script.h"

#include <algorithm>

#include "proto/assert.h"
#include "proto/frame.h"
#include "tests/support/frames.h"

namespace cproto::fuzz {

using namespace cproto::test;

namespace {

constexpr std::uint64_t kSessions = 3;
constexpr const char* kClients[] = {"web-1", "web-2"};
constexpr const char* kChannels[] = {"messages", "images"};
constexpr const char* kLogs[] = {"messages.log", "images.log", "messages.bin", "images.bin"};
constexpr const char* kFiles[] = {"backup.tar", "a", "\xff", "backup.tar~1"};

ByteView take_bytes(ByteReader& script) {
  return script.bytes(std::min<std::size_t>(script.u8(), script.rest().size()));
}
// 0 is no session's index.
std::uint64_t take_session(ByteReader& script) { return 1 + script.u8() % kSessions; }
// Behind those of pieces: no number begins a message and a file.
Seq take_file_number(ByteReader& script) { return {9 + script.u8() % 8u}; }
template <class T, std::size_t N>
T one_of(const T (&all)[N], ByteReader& script) {
  return all[script.u8() % N];
}

LogRecord read_log(ByteReader& script, const MemoryDisk& disk) {
  LogRecord log;
  log.id = script.u8() % 8;
  log.client_id = one_of(kClients, script);
  log.name = one_of(kLogs, script);
  const std::string path = StoreEnd::inbox(log.client_id, log.name);
  log.inode = disk.exists(path) ? disk.inode_of(path) : script.u8();
  log.length = script.u8();
  log.from = script.u8() % 8;
  return log;
}

// `bytes` must live as long as the record.
PiecesRecord read_pieces(ByteReader& script) {
  PiecesRecord pieces;
  pieces.first = {1 + script.u8() % 8u};
  pieces.through = {pieces.first.value + script.u8() % 8};
  pieces.kind = script.u8() % 2 == 0 ? MessageKind::text : MessageKind::binary;
  pieces.channel = one_of(kChannels, script);
  pieces.checksum = script.u8();
  pieces.part_bytes = script.u8() % 2 * std::uint64_t{script.u8()};
  pieces.bytes = take_bytes(script);
  return pieces;
}

}  // namespace

void JournalScript::play(ByteView bytes) {
  ByteReader script(bytes);
  while (!script.empty()) step(script);
  end_batch(true);
  journal_.save(disk_);
}

void JournalScript::step(ByteReader& script) {
  switch (static_cast<Op>(script.u8() % kOps)) {
    case kSession: return add_session(script);
    case kFrame: return add_frame(script);
    case kWrite: return end_batch(true);
    case kForget: {
      const std::uint64_t session = take_session(script);
      ended_.insert(session);
      return add(RecordType::forget, session, {}, 0, {});
    }
    case kSkipped: {
      const std::uint64_t session = take_session(script);
      SkippedRecord skipped;
      skipped.after.through = last_[session] = last_[session].next();
      skipped.after.bytes = script.u8();
      if (script.u8() % 2 == 1) skipped.refusal = {ErrorCode::message_too_large, last_[session]};
      Bytes body;
      encode_skipped(skipped, body);
      return add(RecordType::skipped, session, last_[session], 1, body);
    }
    case kPieces: return add_pieces(script);
    case kFile: return add_file(script);
    case kLog: return add_log(script);
    case kCheckpoint: return add_checkpoint(script);
    case kInboxFile: {
      const std::string client = one_of(kClients, script);
      disk_.make_directories("/store/inbox/" + client);
      return disk_.write_file(StoreEnd::inbox(client, one_of(kLogs, script)), take_bytes(script));
    }
    case kSegment: end_batch(true); return begin_segment(1 + script.u8() % 4);
    case kUnsynced: return end_batch(false);
    case kTail: return raise_tail(std::min<std::uint64_t>(script.u8() % 8, journal_.number));
    case kDamage: return damage(script);
    case kOps: return;
  }
}

// A batch that would not fit its segment is not begun; a journal of this kind was never written.
bool JournalScript::has_room(std::size_t size) const { return journal_.offset + batch_size(size) <= kSegmentSize; }

void JournalScript::add(RecordType type, std::uint64_t session, Seq first, std::uint32_t count, const Bytes& body) {
  const std::size_t size = kRecordHeaderSize + body.size() + 8;
  if (!has_room(gathered_ + size)) return;
  gathered_ += size;
  journal_.record({.type = type, .session = session, .first = first, .count = count, .body = body});
}

void JournalScript::end_batch(bool is_synced) {
  gathered_ = 0;
  if (!has_room(0)) return;
  last_in_[journal_.segment] = journal_.number;
  is_synced ? journal_.write() : journal_.write_unsynced();
}

// What begins again holds nothing that is needed.
void JournalScript::begin_segment(std::uint32_t index) {
  if (const auto used = last_in_.find(index); used != last_in_.end()) raise_tail(used->second + 1);
  journal_.begin_segment(index);
}

// A tail never goes back.
void JournalScript::raise_tail(std::uint64_t number) { journal_.tail = std::max(journal_.tail, number); }

void JournalScript::add_session(ByteReader& script) {
  const std::uint64_t index = take_session(script);
  SessionRecord session;
  session.id = JournalBytes::id_of_session(index);
  session.client_id = one_of(kClients, script);
  session.channel = one_of(kChannels, script);
  session.kind = one_of({MessageKind::text, MessageKind::binary, MessageKind::file}, script);
  session.attempt = script.u8();
  session.max_packet_size = kPacketSizeMax;
  // What is carried forward never stands before what was recorded.
  session.position.through = std::max(last_[index], Seq{script.u8() % 16u});
  session.position.messages = script.u8() % 16u;
  if (script.u8() % 4 == 1) session.refusals = {{ErrorCode::message_too_large, {1}}};
  last_[index] = std::max(last_[index], session.position.through);
  if (ended_.contains(index)) return;  // STORE §4.4
  Bytes body;
  encode_session(session, body);
  add(RecordType::session, index, {}, 0, body);
}

// Mostly the session's next number; now and then one that leaves a gap or comes again.
void JournalScript::add_frame(ByteReader& script) {
  const std::uint64_t session = take_session(script);
  const auto type = one_of({FrameType::data, FrameType::fragment, FrameType::header}, script);
  const std::uint8_t step = script.u8();
  const Seq number = step < 0xf0 ? last_[session].next() : Seq{1 + step % 16u};
  last_[session] = std::max(last_[session], number);
  Bytes payload;
  if (type == FrameType::header) {
    const auto kind = one_of({MessageKind::none, MessageKind::text, MessageKind::binary}, script);
    encode_message_header({kind, kind == MessageKind::none ? "" : one_of(kChannels, script)}, payload);
  } else {
    append(payload, take_bytes(script));
  }
  Bytes frame;
  encode_frame(type, to_wire(number), payload, frame);
  add(RecordType::frames, session, number, 1, frame);
}

void JournalScript::add_pieces(ByteReader& script) {
  const std::uint64_t session = take_session(script);
  Bytes body;
  encode_pieces(read_pieces(script), body);
  add(RecordType::pieces, session, {}, 0, body);
}

void JournalScript::add_file(ByteReader& script) {
  const std::uint64_t session = take_session(script);
  FileRecord file;
  file.first = take_file_number(script);
  file.state = one_of({FileRecord::State::goes_on, FileRecord::State::whole, FileRecord::State::dropped}, script);
  file.after.through = last_[session] = std::max(last_[session].next(), file.first);
  file.bytes = script.u8();
  file.header = {MessageKind::file, {}, {one_of(kFiles, script), script.u8(), 0640, {}}, {}};
  if (file.state == FileRecord::State::whole) file.header.digest = Digest{};
  if (script.u8() % 2 == 0) add_part(session, file.first);
  Bytes body;
  encode_file(file, body);
  add(RecordType::file, session, file.first, 1, body);
}

void JournalScript::add_part(std::uint64_t session, Seq first) {
  disk_.make_directories("/store/partial");
  disk_.write_file(file_part_path("/store/partial", session, first), as_bytes("some bytes"));
}

void JournalScript::add_log(ByteReader& script) {
  Bytes body;
  encode_log(read_log(script, disk_), body);
  add(RecordType::log_opened, 0, {}, 0, body);
}

void JournalScript::add_checkpoint(ByteReader& script) {
  CheckpointRecord checkpoint;
  checkpoint.delivered = script.u8() % 16;
  checkpoint.next_log_id = script.u8();
  for (int left = script.u8() % 3; left > 0; --left) checkpoint.logs.push_back(read_log(script, disk_));
  for (int left = script.u8() % 2; left > 0; --left)
    checkpoint.parts.push_back({take_session(script), read_pieces(script)});
  for (const CheckpointRecord::Part& part : checkpoint.parts) add_part(part.session, part.pieces.first);
  for (int left = script.u8() % 3; left > 0; --left)
    checkpoint.files.push_back(
        {take_session(script), take_file_number(script), one_of(kClients, script), one_of(kFiles, script)});
  Bytes body;
  encode_checkpoint(checkpoint, body);
  add(RecordType::checkpoint, 0, {}, 0, body);
}

// A few bytes of a segment are something else: flipped, zero, or those of another place.
void JournalScript::damage(ByteReader& script) {
  const std::uint32_t index = 1 + script.u8() % 4;
  const std::size_t at = script.u16() * 2;
  const std::uint8_t how = script.u8();
  const std::size_t size = how % 2 == 0 ? 1 : 512;
  const std::size_t from = script.u16() * 2;
  if (!can_damage_) return;
  Bytes& segment = journal_.bytes_of(index);
  if (std::max(at, from) + size > segment.size()) return;
  switch (how / 2 % 3) {
    case 0: segment[at] ^= how; return;
    case 1: std::fill_n(&segment[at], size, std::uint8_t{0}); return;
    case 2: std::copy_n(Bytes(&segment[from], &segment[from] + size).begin(), size, &segment[at]); return;
  }
}

TakenUp::TakenUp(const StoreEnd& end) {
  for (const auto& [index, entry] : end.store->registry().all())
    if (!entry->is_forgotten) sessions[index] = entry->durable.through.value;
  const std::string inbox = "/store/inbox/";
  for (const std::string& client : end.disk.list_directory(inbox)) {
    CPROTO_ASSERT(is_valid_name(client));
    for (const std::string& name : end.disk.list_directory(inbox + client)) {
      const std::string path = inbox + client + "/" + name;
      if (name != "files") {
        files[path] = end.disk.read_file(path);
        continue;
      }
      for (const std::string& file : end.disk.list_directory(path)) {
        CPROTO_ASSERT(is_valid_file_name(file));
        files[path + "/" + file] = end.disk.read_file(path + "/" + file);
      }
    }
  }
}

void open_twice(StoreEnd& end) {
  end.options.segment_size = JournalScript::kSegmentSize;
  const std::string problem = end.open();
  if (!problem.empty()) return;
  // All that can be delivered is, and what cannot is tried again.
  end.run(7s);
  const TakenUp first(end);
  end.kill();
  CPROTO_ASSERT(end.open().empty());
  end.run(7s);
  const TakenUp second(end);
  CPROTO_ASSERT(second.sessions == first.sessions);
  CPROTO_ASSERT(second.files == first.files);
  for (const std::string& name : end.disk.list_directory("/")) CPROTO_ASSERT(name == "store");
}

}  // namespace cproto::fuzz
