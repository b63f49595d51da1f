#include "daemon/replay.h"

#include <algorithm>
#include <utility>

#include "daemon/batch.h"
#include "daemon/delivery_records.h"
#include "daemon/records.h"
#include "proto/frame.h"
#include "proto/message.h"
#include "proto/receiver.h"

namespace cproto {

void Replay::run(Chain& chain) {
  first_pass(chain);
  second_pass(chain);
}

void Replay::say_progress(const char* doing, const ChainBatch& batch, const Chain& chain) const {
  if (!on_progress_) return;
  on_progress_(std::string(doing) + " batch " + std::to_string(&batch - chain.batches.data() + 1) + " of " +
               std::to_string(chain.batches.size()));
}

void Replay::first_pass(Chain& chain) {
  DeliveryRecords delivery;
  Bytes bytes;
  for (const ChainBatch& batch : chain.batches) {
    say_progress("looking at", batch, chain);
    // Nothing of it is in the frames: these are checked where they are applied.
    const BatchRead read = read_batch(disk_, chain, batch, bytes, Check::all_but_frames);
    if (read == BatchRead::failed) continue;
    const auto each = [&](const Record& record) {
      delivery.note(record, batch.header.number);
      // Of a session that is over there may be its end and no more.
      registry_.reserve(record.session);
      if (record.type != RecordType::session) return;
      if (const auto session = decode_session(record.body)) registry_.restore(record.session, *session);
    };
    visit_records(batch.header, bytes, {each, [](const std::optional<Record>&) {}},
                  read == BatchRead::intact ? Check::nothing : Check::all_but_frames);
  }
  delivery_.restore(delivery);
}

void Replay::second_pass(Chain& chain) {
  Bytes bytes;
  for (const ChainBatch& batch : chain.batches) {
    const std::uint64_t number = batch.header.number;
    say_progress("applying", batch, chain);
    const BatchRead read = read_batch(disk_, chain, batch, bytes);
    if (read == BatchRead::failed) {
      log_.error(LogEvent::journal_damaged, "journal: batch " + std::to_string(number) + " cannot be read");
      continue;
    }
    std::size_t damaged = 0;
    const auto each = [&](const Record& record) {
      apply(record, number);
      if (number <= delivery_.delivered()) delivery_.replay(record, number);
    };
    const auto salvage = [&](const std::optional<Record>& record) {
      ++damaged;
      SessionEntry* entry = record ? registry_.find(record->session) : nullptr;
      if (entry == nullptr || record->type != RecordType::frames) return;
      log_.error(LogEvent::journal_damaged, "journal: damage in batch " + std::to_string(number) + " at client " +
                                                entry->client_id + ", numbers " + std::to_string(record->first.value) +
                                                " to " + std::to_string(record->first.value + record->count - 1) +
                                                "; what is intact is kept");
      salvage_frames(*record, [&](Seq seq, ByteView frame) { apply_frame(*entry, seq, frame); });
      // The mark passes what was hit: it was acknowledged, and nobody has it any more.
      entry->appended.through = std::max(entry->appended.through, Seq{record->first.value + record->count - 1});
    };
    visit_records(batch.header, bytes, {each, salvage}, read == BatchRead::intact ? Check::nothing : Check::everything);
    if (damaged > 0)
      log_.error(LogEvent::journal_damaged,
                 "journal: " + std::to_string(damaged) + " damaged places in batch " + std::to_string(number));
  }
  for (const auto& [index, entry] : registry_.all()) entry->received = entry->flying = entry->durable = entry->appended;
}

void Replay::apply(const Record& record, std::uint64_t batch) {
  if (record.type == RecordType::checkpoint)
    if (const auto checkpoint = decode_checkpoint(record.body))
      running_time_ = std::max(running_time_, checkpoint->running_time);
  SessionEntry* entry = record.session != 0 ? registry_.find(record.session) : nullptr;
  if (entry == nullptr) return;
  switch (record.type) {
    case RecordType::frames:
      entry->last_there = std::max(entry->last_there, running_time_);
      return apply_frames(*entry, record);
    case RecordType::skipped: return apply_skipped(*entry, record);
    case RecordType::file: {
      if (record.count > 0)
        entry->last_there = std::max(entry->last_there, running_time_);  // or it was carried forward
      auto file = decode_file(record.body);
      // Nothing of a session comes behind its end but in a journal that nobody wrote so.
      if (!file || entry->is_forgotten || file->after.through < entry->appended.through) return;
      entry->appended = file->after;
      return apply_file(*entry, std::move(*file), batch);
    }
    case RecordType::session: {
      const auto session = decode_session(record.body);
      if (!session) return;
      entry->record_batch = batch;
      entry->recorded_there = session->last_there;
      entry->last_there = std::max(entry->last_there, session->last_there);
      running_time_ = std::max(running_time_, session->last_there);
      entry->attempt = std::max(entry->attempt, session->attempt);
      entry->refusals.clear();
      for (const Refusal& refusal : session->refusals) entry->refusals.push_back({refusal});
      // The mark is exact; what was counted before the first one was not.
      if (!has_position_[entry->index] || session->position.through > entry->appended.through)
        entry->appended = session->position;
      has_position_[entry->index] = true;
      return;
    }
    case RecordType::forget: intake_.drop_restored(entry->index); return registry_.forget(*entry);
    case RecordType::pieces:
    case RecordType::log_opened:
    case RecordType::checkpoint: return;
  }
}

// STORE §4.2. One of no numbers refuses the message that is under way.
void Replay::apply_skipped(SessionEntry& entry, const Record& record) {
  const auto skipped = decode_skipped(record.body);
  if (!skipped || skipped->after.through < entry.appended.through) return;
  const bool lets_go = record.count == 0 && !entry.appended.message.is_refused;
  if (skipped->after.through == entry.appended.through && !lets_go) return;
  entry.appended = skipped->after;
  if (record.count > 0) entry.last_there = std::max(entry.last_there, running_time_);
  if (skipped->refusal.code == ErrorCode::none) return;
  entry.refusals.push_back({skipped->refusal});
  intake_.drop_restored(entry.index);  // if it was a file
}

// STORE §4.8. Each record of a file says all that is known of it; one that is whole is delivery's.
void Replay::apply_file(SessionEntry& entry, FileRecord file, std::uint64_t batch) {
  if (file.state == FileRecord::State::goes_on) return intake_.restore(entry.index, file, batch);
  intake_.drop_restored(entry.index);
  if (file.state == FileRecord::State::whole && batch > delivery_.delivered()) entry.note_undelivered(file.first);
}

void Replay::apply_frames(SessionEntry& entry, const Record& record) {
  ByteView rest = record.body;
  for (Seq number = record.first; !rest.empty(); number = number.next()) {
    const std::size_t size = kHeaderSize + decode_header(rest.data()).payload_size;
    apply_frame(entry, number, rest.first(size));
    rest = rest.subspan(size);
  }
}

// The same filter as on the network: what is known already is passed over.
void Replay::apply_frame(SessionEntry& entry, Seq number, ByteView frame) {
  Position& position = entry.appended;
  if (number <= position.through) return;
  position.through = {number.value - 1};  // numbers before it may be lost to damage
  advance(position, decode_header(frame.data()), frame.subspan(kHeaderSize), entry.kind);
}

}  // namespace cproto
