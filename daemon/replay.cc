#include "daemon/replay.h"

#include <algorithm>

#include "daemon/batch.h"
#include "daemon/delivery_records.h"
#include "proto/frame.h"
#include "proto/message.h"

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
    if (!read_batch(disk_, chain, batch, bytes)) continue;
    const auto each = [&](const Record& record) {
      delivery.note(record, batch.header.number);
      // Of a session that is over there may be its end and no more.
      registry_.reserve(record.session);
      if (record.type != RecordType::session) return;
      if (const auto session = decode_session(record.body)) registry_.restore(record.session, *session);
    };
    visit_records(batch.header, bytes, {each, [](const std::optional<Record>&) {}});
  }
  delivery_.restore(delivery);
}

void Replay::second_pass(Chain& chain) {
  Bytes bytes;
  for (const ChainBatch& batch : chain.batches) {
    const std::uint64_t number = batch.header.number;
    say_progress("applying", batch, chain);
    if (!read_batch(disk_, chain, batch, bytes)) {
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
    visit_records(batch.header, bytes, {each, salvage});
    if (damaged > 0)
      log_.error(LogEvent::journal_damaged,
                 "journal: " + std::to_string(damaged) + " damaged places in batch " + std::to_string(number));
  }
  for (const auto& [index, entry] : registry_.all()) entry->flying = entry->durable = entry->appended;
}

void Replay::apply(const Record& record, std::uint64_t batch) {
  SessionEntry* entry = record.session != 0 ? registry_.find(record.session) : nullptr;
  if (entry == nullptr) return;
  switch (record.type) {
    case RecordType::frames: return apply_frames(*entry, record);
    case RecordType::skipped: {
      const auto skipped = decode_skipped(record.body);
      if (!skipped || record.first <= entry->appended.through) return;
      entry->appended.through = record.first;
      entry->appended.bytes += skipped->payload_bytes;
      if (skipped->refusal.code != ErrorCode::none) entry->refusals.push_back(skipped->refusal);
      entry->appended.messages += skipped->ends_message ? 1u : 0u;
      entry->appended.message.is_refused = !skipped->ends_message;
      if (skipped->ends_message) entry->appended.message = {};
      return;
    }
    case RecordType::session: {
      const auto session = decode_session(record.body);
      if (!session) return;
      entry->record_batch = batch;
      entry->attempt = std::max(entry->attempt, session->attempt);
      entry->refusals = session->refusals;
      // The mark is exact; what was counted before the first one was not.
      if (!has_position_[entry->index] || session->position.through > entry->appended.through)
        entry->appended = session->position;
      has_position_[entry->index] = true;
      return;
    }
    case RecordType::forget: return registry_.forget(*entry);
    case RecordType::pieces:
    case RecordType::log_opened:
    case RecordType::checkpoint: return;
  }
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
  const FrameHeader header = decode_header(frame.data());
  MessageKind kind = MessageKind::none;
  if (header.type == FrameType::header) {
    const auto decoded = decode_message_header(frame.subspan(kHeaderSize));
    if (const MessageHeader* message = std::get_if<MessageHeader>(&decoded)) kind = message->kind;
  }
  const MessageStep step = advance(position.message, header.type, number, header.payload_size, entry.kind, kind);
  position.through = number;
  position.bytes += header.payload_size;
  if (step == MessageStep::ends || step == MessageStep::abandoned) ++position.messages;
}

}  // namespace cproto
