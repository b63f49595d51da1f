#include "tests/simulation/durable_journal.h"

#include <algorithm>
#include <utility>

#include "daemon/records.h"

namespace cproto::sim {

// A batch counts once header, trailer and all between are on the disk, in a file whose name is.
void DurableJournal::on_synced(const std::string& path, std::uint64_t begin, std::uint64_t end) {
  if (!path.starts_with(store_ + "/journal/")) return;
  const ByteView bytes = disk_.durable_bytes(path);
  end = std::min<std::uint64_t>(end, bytes.size());
  for (std::uint64_t at = begin / kBlockSize * kBlockSize; at + kBlockSize <= end; at += kBlockSize) {
    const auto header = decode_batch_header(bytes.data() + at);
    if (!header || header->offset != at || header->size > bytes.size() - at || batches_.contains(header->number))
      continue;
    const ByteView batch = bytes.subspan(at, header->size);
    if (batch_checks(*header, batch)) take_batch(*header, batch);
  }
}

Seq DurableJournal::through(const SessionId& id) const {
  const auto it = index_of_.find(id);
  return it == index_of_.end() ? Seq{0} : sessions_.at(it->second).through;
}

void DurableJournal::take_batch(const BatchHeader& header, ByteView bytes) {
  batches_.insert(header.number);
  if (header.previous != 0 && !batches_.contains(header.previous))
    fail_("batch " + std::to_string(header.number) + " is durable and the one before it, " +
          std::to_string(header.previous) + ", is not");
  visit_records(header, bytes, {[this](const Record& record) { take(record); }, [](const std::optional<Record>&) {}});
}

void DurableJournal::take(const Record& record) {
  if (record.type == RecordType::session) {
    const auto session = decode_session(record.body);
    if (!session) return;
    index_of_[session->id] = record.session;
    Session& known = sessions_[record.session];
    known.id = session->id;
    known.through = std::max(known.through, session->position.through);
    return;
  }
  const auto it = sessions_.find(record.session);
  if (it == sessions_.end()) return;
  Session& session = it->second;
  if (record.type == RecordType::frames) {
    move(session, record.first, {record.first.value + record.count - 1});
  } else if (record.type == RecordType::skipped) {
    if (const auto skipped = decode_skipped(record.body)) move(session, record.first, skipped->after.through);
  } else if (record.type == RecordType::file) {
    const auto file = decode_file(record.body);
    if (!file) return;
    if (record.count > 0 && file->after.through > session.through) check_part(session, record);
    if (record.count > 0) move(session, record.first, file->after.through);
  }
}

void DurableJournal::move(Session& session, Seq first, Seq through) {
  if (through <= session.through) return;
  if (first > session.through.next())
    fail_("session " + to_hex(ByteView(session.id).first(8)) + ": " + std::to_string(first.value) +
          " is durable and only " + std::to_string(session.through.value) + " before it");
  session.through = through;
}

// STORE §7.3. The bytes of a file are on the disk before the record that counts them.
void DurableJournal::check_part(const Session& session, const Record& record) {
  const auto file = decode_file(record.body);
  if (file->state == FileRecord::State::dropped) return;
  const std::string part = file_part_path(store_ + "/partial", record.session, file->first);
  if (!disk_.is_durable(part, file->bytes))
    fail_("session " + to_hex(ByteView(session.id).first(8)) + ": " + std::to_string(file->bytes) +
          " bytes of a file count and are not on the disk");
}

}  // namespace cproto::sim
