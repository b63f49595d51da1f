#include "daemon/assembler.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "daemon/recovery.h"
#include "proto/message.h"

namespace cproto {

namespace {

constexpr std::uint32_t kPartMode = 0600;

std::string hex(std::uint64_t value) {
  std::uint8_t bytes[8];
  store_be(bytes, value);
  return to_hex(bytes);
}

}  // namespace

// --- recovery ---

void Assembler::restore(std::uint64_t session, const PiecesRecord& pieces, std::uint64_t batch) {
  Unfinished& unfinished = unfinished_[session];
  held_bytes_ -= unfinished.assembly.bytes.size();
  unfinished = {};
  unfinished.first_batch = batch;
  unfinished.is_carried = true;
  Assembly& assembly = unfinished.assembly;
  assembly.first = pieces.first;
  assembly.through = pieces.through;
  assembly.kind = pieces.kind;
  assembly.channel = pieces.channel;
  assembly.checksum = pieces.checksum;
  append(assembly.bytes, pieces.bytes);
  held_bytes_ += pieces.bytes.size();
  if (pieces.part_bytes == 0) return;
  begin_part(session, assembly);
  assembly.part->written = pieces.part_bytes;
}

void Assembler::replay(const Record& record, std::uint64_t batch) {
  is_replaying_ = true;
  taking_batch_ = batch;
  take_record(record);
  is_replaying_ = false;
}

std::string Assembler::open_parts(Disk& disk) {
  std::vector<std::uint64_t> gone;
  for (auto& [session, unfinished] : unfinished_) {
    if (!unfinished.assembly.part) continue;
    Part& part = *unfinished.assembly.part;
    Job open{file_op::open(part.file, part.path)};
    const JobResult result = disk.run(open);
    if (result.error == ENOENT) {
      log_.error(LogEvent::journal_damaged, part.path + " is gone: the half-sent message of session " +
                                                std::to_string(session) + " that was in it is left out");
      gone.push_back(session);
    } else if (!result.ok()) {
      return part.path + ": " + std::strerror(result.error);
    }
  }
  for (const std::uint64_t session : gone) lose(session);
  return {};
}

void Assembler::add_wanted(std::set<std::string>& paths) const {
  for (const auto& [session, unfinished] : unfinished_)
    if (unfinished.assembly.part) paths.insert(unfinished.assembly.part->path);
}

// --- from records to messages ---

bool Assembler::take(const BatchPlace& place, ByteView bytes, bool is_intact) {
  taking_batch_ = place.number;
  inbox_.begin_batch(place.number);
  BatchHeader header;
  header.number = place.number;
  header.used = place.used;
  bool has_work = false;
  const auto each = [&](const Record& record) { has_work = take_record(record) || has_work; };
  const auto damaged = [&](const std::optional<Record>& record) {
    if (record && record->type == RecordType::frames) salvage(*record);
  };
  visit_records(header, bytes, {each, damaged}, is_intact ? Check::nothing : Check::everything);
  return has_work;
}

bool Assembler::take_record(const Record& record) {
  switch (record.type) {
    case RecordType::frames: take_frames(record); return true;
    case RecordType::skipped: on_skipped(record); return true;
    case RecordType::forget: forget(record.session); return true;
    case RecordType::file: on_file(record); return true;
    case RecordType::session:
    case RecordType::pieces:
    case RecordType::log_opened:
    case RecordType::checkpoint: break;
  }
  return false;
}

void Assembler::on_skipped(const Record& record) {
  const auto it = unfinished_.find(record.session);
  const auto skipped = decode_skipped(record.body);
  const bool is_passed = it != unfinished_.end() && record.first <= it->second.assembly.through;
  if (skipped && skipped->refusal.code != ErrorCode::none && !is_passed) drop(record.session);
}

// The bytes of a file are not in the journal: what is whole is in its part.
void Assembler::on_file(const Record& record) {
  const SessionEntry* session = registry_.find(record.session);
  const auto file = decode_file(record.body);
  if (is_replaying_ || session == nullptr || !file || file->state != FileRecord::State::whole) return;
  files_.take({record.session, file->first, session->client_id, file->header.file.name});
}

// Until a checkpoint is behind it, a recovery would deliver what came before once more, and needs to know whose it was.
void Assembler::forget(std::uint64_t session) {
  drop(session);
  damaged_.erase(session);
  if (is_replaying_) return registry_.purge(session);
  forgotten_.emplace_back(taking_batch_, session);
}

void Assembler::take_frames(const Record& record) {
  const SessionEntry* session = registry_.find(record.session);
  if (session == nullptr && is_replaying_) return;  // it was over before the checkpoint
  if (session == nullptr)
    return log_.error(LogEvent::journal_damaged,
                      "messages of a session whose record is damaged are left in the journal");
  InboxLog* log = nullptr;
  bool is_within = is_within_message(record.session);
  ByteView rest = record.body;
  for (Seq number = record.first; !rest.empty(); number = number.next()) {
    const FrameHeader header = decode_header(rest.data());
    const ByteView payload = rest.subspan(kHeaderSize, header.payload_size);
    rest = rest.subspan(kHeaderSize + header.payload_size);
    if (header.type == FrameType::data && !is_within) {
      if (is_replaying_) continue;
      if (log == nullptr) {
        log = &inbox_.log_of(session->client_id, session->channel, session->kind);
        inbox_.reserve(*log, rest.size() + payload.size());
      }
      inbox_.put(*log, session->kind, payload);
    } else {
      take_frame(*session, number, header.type, payload);
      is_within = is_within_message(record.session);
    }
  }
}

// What is intact of a run that damage hit.
void Assembler::salvage(const Record& record) {
  Seq expected = record.first;
  salvage_frames(record, [&](Seq number, ByteView frame) {
    if (number != expected) lose(record.session);
    expected = number.next();
    Record one = record;
    one.first = number;
    one.count = 1;
    one.body = frame;
    take_frames(one);
  });
  if (expected != record.first + record.count) lose(record.session);
}

void Assembler::take_frame(const SessionEntry& session, Seq number, FrameType type, ByteView payload) {
  auto it = unfinished_.find(session.index);
  if (it != unfinished_.end() && number <= it->second.assembly.through) return;  // carried forward, or in its part
  if (it != unfinished_.end() && number > it->second.assembly.through.next()) {
    // What was carried forward of a message that was whole long ago; anything else is a loss.
    it->second.is_carried ? drop(session.index) : lose(session.index);
    it = unfinished_.end();
  }
  if (is_swallowed(session.index, type)) return;
  if (type == FrameType::header) return on_header(session, number, payload);
  Unfinished& unfinished = it != unfinished_.end() ? it->second : unfinished_[session.index];
  Assembly& assembly = unfinished.assembly;
  if (it == unfinished_.end()) {
    unfinished.first_batch = taking_batch_;
    assembly.first = number;
    assembly.kind = session.kind;
    assembly.channel = session.channel;
  }
  // Pieces may have been carried forward past batches that have more of the message.
  if (unfinished.is_carried) unfinished.first_batch = std::min(unfinished.first_batch, taking_batch_);
  assembly.add(number, payload);
  held_bytes_ += payload.size();
  unfinished.is_carried = false;
  if (type == FrameType::data) {
    deliver(session, assembly);
    erase(session.index);
  } else if (!is_replaying_ && (assembly.part || assembly.bytes.size() > memory_max_ || held_bytes_ > held_max_) &&
             std::find(spills_.begin(), spills_.end(), session.index) == spills_.end()) {
    spills_.push_back(session.index);
  }
}

void Assembler::on_header(const SessionEntry& session, Seq number, ByteView payload) {
  const auto decoded = decode_message_header(payload);
  const MessageHeader* header = std::get_if<MessageHeader>(&decoded);
  drop(session.index);
  if (header == nullptr || header->kind == MessageKind::none) return;
  Unfinished& unfinished = unfinished_[session.index];
  unfinished.first_batch = taking_batch_;
  unfinished.assembly.first = unfinished.assembly.through = number;
  unfinished.assembly.kind = header->kind;
  unfinished.assembly.channel = header->channel.empty() ? session.channel : header->channel;
}

void Assembler::deliver(const SessionEntry& session, Assembly& assembly) {
  held_bytes_ -= assembly.bytes.size();
  std::erase(spills_, session.index);
  if (assembly.part) done_parts_.push_back(assembly.part);
  if (is_replaying_) return assembly.bytes.clear();
  InboxLog& log = inbox_.log_of(session.client_id, assembly.channel, assembly.kind);
  assembly.part ? inbox_.put(log, assembly) : inbox_.put(log, assembly.kind, assembly.bytes);
  assembly.bytes.clear();
}

void Assembler::drop(std::uint64_t session) {
  const auto it = unfinished_.find(session);
  if (it == unfinished_.end()) return;
  if (it->second.assembly.part) done_parts_.push_back(it->second.assembly.part);
  std::erase(spills_, session);
  erase(session);
}

// A recovery from the checkpoint there is now would still need its pieces.
void Assembler::erase(std::uint64_t session) {
  const auto it = unfinished_.find(session);
  held_bytes_ -= it->second.assembly.bytes.size();
  if (it->second.first_batch != 0) finished_from_ = std::min(finished_from_, it->second.first_batch);
  unfinished_.erase(it);
}

// Numbers of this session are lost to damage. A message that lacks some of them is not delivered.
void Assembler::lose(std::uint64_t session) {
  const bool was_within = unfinished_.contains(session);
  drop(session);
  damaged_[session] = damaged_[session] || was_within;
}

// Behind a loss nobody knows where a message begins. A frame that is a message by itself is believed to be one, unless
// another was begun before the loss; of all others the rest is left out.
bool Assembler::is_swallowed(std::uint64_t session, FrameType type) {
  const auto it = damaged_.find(session);
  if (it == damaged_.end()) return false;
  if (type == FrameType::fragment) it->second = true;
  if (type == FrameType::fragment) return true;
  const bool is_rest = type == FrameType::data && it->second;
  if (is_rest && !is_replaying_)
    log_.error(LogEvent::journal_damaged,
               "a message of session " + std::to_string(session) + " is left out: the journal was damaged within it");
  damaged_.erase(it);
  return is_rest;
}

// --- parts ---

void Assembler::begin_part(std::uint64_t session, Assembly& assembly) {
  assembly.part = std::make_shared<Part>();
  assembly.part->path = parts_ + "/" + hex(session) + "-" + hex(assembly.first.value) + ".part";
}

void Assembler::add_spills(Instant now, Job& job) {
  spilling_.clear();
  if (spills_blocked_until_ > now) return;
  for (const std::uint64_t session : spills_) {
    Assembly& assembly = unfinished_.at(session).assembly;
    if (!assembly.part) begin_part(session, assembly);
    Part& part = *assembly.part;
    if (!part.file.is_open()) job.push_back(file_op::open_or_create(part.file, part.path, kPartMode));
    job.push_back(file_op::write(part.file, part.written, assembly.bytes));
  }
  spilling_ = spills_;
}

void Assembler::on_spilled() {
  for (const std::uint64_t session : std::exchange(spilling_, {})) {
    Assembly& assembly = unfinished_.at(session).assembly;
    assembly.part->written += assembly.bytes.size();
    assembly.part->is_dirty = true;
    held_bytes_ -= assembly.bytes.size();
    assembly.bytes.clear();
    std::erase(spills_, session);
  }
}

Instant Assembler::next_deadline(Instant now) const {
  return !spills_.empty() && spills_blocked_until_ > now ? spills_blocked_until_ : kNever;
}

void Assembler::add_closes(Job& job, std::vector<std::shared_ptr<File>>& files) {
  const auto close = [&](const std::shared_ptr<Part>& part) {
    if (!part || !part->file.is_open()) return;
    files.push_back(std::make_shared<File>(std::exchange(part->file, {})));
    job.push_back(file_op::close(*files.back()));
  };
  for (const auto& [session, unfinished] : unfinished_) close(unfinished.assembly.part);
  for (const auto* parts : {&done_parts_, &going_parts_})
    for (const auto& part : *parts) close(part);
}

// --- checkpoints ---

void Assembler::begin_checkpoint(CheckpointRecord& checkpoint, Job& job) {
  going_parts_ = std::exchange(done_parts_, {});
  going_finished_from_ = std::exchange(finished_from_, kNoBatch);
  for (auto& [session, unfinished] : unfinished_) {
    const Assembly& assembly = unfinished.assembly;
    if (!assembly.part) continue;
    if (assembly.part->is_dirty) job.push_back(file_op::sync_data(assembly.part->file));
    checkpoint.parts.push_back({session, assembly.to_record()});
  }
  if (!checkpoint.parts.empty()) job.push_back(file_op::sync_directory(parts_));
}

void Assembler::on_synced() {
  for (auto& [session, unfinished] : unfinished_)
    if (unfinished.assembly.part) unfinished.assembly.part->is_dirty = false;
}

std::vector<std::shared_ptr<Part>> Assembler::on_checkpoint_durable(const CheckpointRecord& checkpoint, Job& job) {
  std::erase_if(forgotten_, [&](const auto& one) {
    if (one.first > checkpoint.delivered) return false;
    registry_.purge(one.second);
    return true;
  });
  // From here on recovery takes unfinished messages of these parts from there; by now it may be the session's next one.
  for (const CheckpointRecord::Part& part : checkpoint.parts) {
    const auto it = unfinished_.find(part.session);
    if (it != unfinished_.end() && it->second.assembly.first == part.pieces.first) it->second.first_batch = 0;
  }
  going_finished_from_ = kNoBatch;
  std::vector<std::shared_ptr<Part>> parts = std::exchange(going_parts_, {});
  for (const auto& part : parts) {
    if (part->file.is_open()) job.push_back(file_op::close(part->file));
    job.push_back(file_op::remove(part->path));
  }
  return parts;
}

Assembler::Carried Assembler::carry_forward(std::uint64_t before_batch, std::uint64_t taken, Journal& journal) {
  if (std::min(finished_from_, going_finished_from_) < before_batch) return Carried::after_checkpoint;
  for (auto& [session, unfinished] : unfinished_) {
    if (unfinished.first_batch == 0 || unfinished.first_batch >= before_batch) continue;
    if (unfinished.assembly.part) return Carried::after_checkpoint;
    if (!journal.has_space(unfinished.assembly.bytes.size())) return Carried::later;
    Bytes body;
    encode_pieces(unfinished.assembly.to_record(), body);
    // Batches that delivery has not taken yet may have more of it.
    unfinished.first_batch = std::min(journal.gathering_number(), taken + 1);
    journal.append({.type = RecordType::pieces, .session = session, .body = body});
  }
  return Carried::all;
}

}  // namespace cproto
