#include "daemon/delivery.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

#include "daemon/recovery.h"
#include "proto/assert.h"
#include "proto/frame.h"
#include "proto/message.h"

namespace cproto {

namespace {

constexpr std::uint32_t kLogMode = 0640;
constexpr std::uint32_t kDirectoryMode = 02750;
constexpr std::uint32_t kPrivateDirectoryMode = 0700;
constexpr std::uint32_t kPartMode = 0640;  // a part may become a file of the inbox

// A round takes batches until so many bytes wait to be written.
constexpr std::size_t kRoundBytes = 4u << 20;
// Batches that wait with their bytes; more of them are read from the journal.
constexpr std::size_t kBatchesInMemory = 8;
constexpr std::size_t kLogsPerJob = 64;
constexpr std::size_t kOpenLogs = 512;
constexpr std::uint64_t kCheckpointBytes = 64u << 20;
constexpr Duration kCheckpointInterval = 1s;
constexpr Duration kIdleLog = 60s;
constexpr Duration kRetry = 5s;
// What may wait in memory for logs that cannot be written, before everything waits for them.
constexpr std::uint64_t kBlockedBytes = 64u << 20;

constexpr std::size_t kOpenOperations = 5;

std::string hex(std::uint64_t value) {
  std::uint8_t bytes[8];
  store_be(bytes, value);
  return to_hex(bytes);
}

}  // namespace

Delivery::Delivery(Disk& disk, const DeliveryOptions& options, SessionRegistry& registry, Log& log)
    : disk_(disk), options_(options), registry_(registry), log_(log) {}

Delivery::~Delivery() {
  *alive_ = false;
  Job job;
  auto files = std::make_shared<std::deque<File>>();
  const auto close = [&](File& file) {
    if (file.is_open()) job.push_back(file_op::close(files->emplace_back(std::exchange(file, {}))));
  };
  for (auto& [key, log] : logs_) close(log->file);
  for (auto& [session, unfinished] : unfinished_)
    if (unfinished.assembly.part) close(unfinished.assembly.part->file);
  if (!job.empty()) disk_.submit(std::move(job), [files](JobResult) {});
}

void Delivery::run(Job job, std::function<void(JobResult)> done) {
  CPROTO_ASSERT(!is_busy_);
  is_busy_ = true;
  disk_.submit(std::move(job), [this, alive = alive_, done = std::move(done)](JobResult result) {
    if (!*alive) return;
    is_busy_ = false;
    done(result);
    while (advance()) {
    }
  });
}

// --- recovery ---

void Delivery::restore(const DeliveryRecords& records) {
  for (const auto& [session, carried] : records.pieces)
    if (const auto pieces = decode_pieces(carried.body)) restore(session, *pieces, carried.batch);
  delivered_ = records.checkpoint.delivered;
  next_log_id_ = records.checkpoint.next_log_id;
  for (const LogRecord& log : records.checkpoint.logs) restore(log);
  for (const CheckpointRecord::Part& part : records.checkpoint.parts) restore(part.session, part.pieces, 0);
  for (const LogRecord& log : records.logs) restore(log);
}

void Delivery::restore(const LogRecord& record) {
  std::unique_ptr<InboxLog>& log = logs_[record.client_id + "/" + record.name];
  log = std::make_unique<InboxLog>();
  log->client_id = record.client_id;
  log->name = record.name;
  log->path = options_.inbox + "/" + record.client_id + "/" + record.name;
  log->id = record.id;
  log->link = options_.links + "/" + hex(record.id);
  log->identity = {record.device, record.inode, record.length, true};
  log->length = record.length;
  log->state = InboxLog::State::ready;
  log->is_rewriting = true;
  next_log_id_ = std::max(next_log_id_, record.id + 1);
}

void Delivery::restore(std::uint64_t session, const PiecesRecord& pieces, std::uint64_t batch) {
  Unfinished& unfinished = unfinished_[session];
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
  if (pieces.part_bytes == 0) return;
  assembly.part = std::make_shared<Part>();
  assembly.part->path = options_.parts + "/" + hex(session) + "-" + hex(pieces.first.value) + ".part";
  assembly.part->written = pieces.part_bytes;
}

void Delivery::replay(const Record& record, std::uint64_t batch) {
  is_replaying_ = true;
  taking_batch_ = batch;
  take_record(record);
  is_replaying_ = false;
}

std::string Delivery::open_again() {
  Job job{file_op::make_directory(options_.inbox, kDirectoryMode),
          file_op::make_directory(options_.links, kPrivateDirectoryMode),
          file_op::make_directory(options_.parts, kPrivateDirectoryMode)};
  if (const JobResult result = disk_.run(job); !result.ok())
    return job[result.operation].path + ": " + std::strerror(result.error);
  for (auto& [session, unfinished] : unfinished_) {
    Assembly& assembly = unfinished.assembly;
    if (!assembly.part) continue;
    Job open{file_op::open(assembly.part->file, assembly.part->path)};
    if (const JobResult result = disk_.run(open); !result.ok())
      return assembly.part->path + ": " + std::strerror(result.error);
  }
  for (auto it = logs_.begin(); it != logs_.end();) {
    const std::string trouble = open_again(*it->second);
    if (!trouble.empty()) log_.warn(trouble);
    it = trouble.empty() ? std::next(it) : logs_.erase(it);
  }
  return {};
}

// The file under the log's name, if it is still the one; else the one under its second name, which is completed there.
std::string Delivery::open_again(InboxLog& log) {
  const FileStatus wanted = log.identity;
  for (const std::string* path : {&log.path, &log.link}) {
    FileStatus status;
    Job job{file_op::open(log.file, *path), file_op::status(log.file, status)};
    if (!disk_.run(job).ok()) continue;
    if (status.device != wanted.device || status.inode != wanted.inode) {
      Job close{file_op::close(log.file)};
      disk_.run(close);
      continue;
    }
    log.state = path == &log.path ? InboxLog::State::ready : InboxLog::State::left;
    if (status.size < log.length) {
      log_.warn(log.path + " became shorter (" + std::to_string(status.size) + " of " + std::to_string(log.length) +
                " bytes); going on at its end");
      log.length = status.size;
    }
    return {};
  }
  return log.path + " was removed while cprotod was down; beginning a new one";
}

// Not before the last batch is known to be durable: what it no longer refers to, the one before it may.
void Delivery::remove_orphans() {
  std::set<std::string> wanted;
  for (const auto& [session, unfinished] : unfinished_)
    if (unfinished.assembly.part) wanted.insert(unfinished.assembly.part->path);
  for (const auto& [key, log] : logs_) wanted.insert(log->link);
  for (const std::string& directory : {options_.links, options_.parts}) {
    std::vector<std::string> names;
    Job list{file_op::list(directory, names)};
    if (!disk_.run(list).ok()) continue;
    for (const std::string& name : names) {
      if (wanted.contains(directory + "/" + name)) continue;
      Job remove{file_op::remove(directory + "/" + name)};
      disk_.run(remove);
    }
  }
}

void Delivery::start(Instant now, Journal& journal) {
  now_ = last_checkpoint_ = now;
  journal_ = &journal;
  remove_orphans();
  for (const BatchPlace& batch : journal.batches())
    if (batch.number > delivered_) queue_.push_back(batch);
  recovered_through_ = queue_.empty() ? delivered_ : queue_.back().number;
  round_through_ = delivered_;
  is_recovering_ = true;
  wants_checkpoint_ = !logs_.empty() || !queue_.empty();
  journal.release_before(delivered_ + 1);
  pump(now);
}

// --- the pump: one job at a time ---

void Delivery::on_durable(Instant now, const BatchPlace& batch) {
  queue_.push_back(batch);
  if (queue_.size() > kBatchesInMemory) queue_.back().bytes.reset();  // read again when its turn comes
  if (awaited_batch_ != 0 && batch.number >= awaited_batch_) {
    now_ = now;
    awaited_batch_ = 0;
    on_checkpoint_durable();
  }
  pump(now);
}

void Delivery::handle_timeout(Instant now) { pump(now); }

void Delivery::pump(Instant now) {
  now_ = now;
  while (advance()) {
  }
}

// Does the next thing that can be done. False if there is none, or a job is under way.
bool Delivery::advance() {
  if (is_busy_ || journal_ == nullptr || restart_at_ != kNever) return false;
  if (!round_.empty() || !spills_.empty()) {
    if (open_logs() || write_round()) return false;
    if (!round_is_over()) return false;
  }
  if (round_.empty() && spills_.empty()) {
    blocked_bytes_ = 0;
    delivered_ = round_through_;
    if (is_recovering_ && delivered_ >= recovered_through_) end_recovery();
    if (checkpoint_is_due()) {
      begin_checkpoint();
      return false;
    }
  }
  if (queue_.empty() || blocked_bytes_ > kBlockedBytes) return false;
  return read_next_batch();
}

// From here on logs are appended to, wherever they end.
void Delivery::end_recovery() {
  is_recovering_ = false;
  for (auto& [key, log] : logs_) log->is_rewriting = false;
}

// Whether nothing but logs that cannot be written is left of the round.
bool Delivery::round_is_over() const {
  return spills_.empty() &&
         std::all_of(round_.begin(), round_.end(), [&](const InboxLog* log) { return is_blocked(*log); });
}

// Takes batches that are in memory, as many as make a round; one that is not is read first.
bool Delivery::read_next_batch() {
  std::size_t taken = 0;
  while (!queue_.empty() && queue_.front().bytes && taken < kRoundBytes) {
    const BatchPlace batch = std::move(queue_.front());
    queue_.pop_front();
    taken += batch.size;
    take_batch(batch, *batch.bytes);
  }
  if (taken > 0 || queue_.empty()) return true;
  const BatchPlace batch = queue_.front();
  read_buffer_.resize(batch.size);
  run({file_op::read(journal_->file_of(batch), batch.offset, read_buffer_)}, [this, batch](JobResult result) {
    if (!result.ok())
      log_.error("batch " + std::to_string(batch.number) + " cannot be read: " + std::strerror(result.error));
    queue_.pop_front();
    take_batch(batch, result.ok() ? ByteView(read_buffer_) : ByteView{});
    if (read_buffer_.capacity() > kRoundBytes) Bytes().swap(read_buffer_);
  });
  return false;
}

// --- from records to logs ---

void Delivery::take_batch(const BatchPlace& place, ByteView bytes) {
  taking_batch_ = place.number;
  round_through_ = place.number;
  bytes_since_checkpoint_ += place.used;
  if (bytes.empty()) return;
  BatchHeader header;
  header.number = place.number;
  header.used = place.used;
  visit_records(header, bytes,
                {[this](const Record& record) { take_record(record); },
                 [this](const std::optional<Record>& record) {
                   if (!record || record->type != RecordType::frames) return;
                   Seq expected = record->first;
                   salvage_frames(*record, [&](Seq number, ByteView frame) {
                     if (number != expected) lose(record->session);
                     expected = number.next();
                     Record one = *record;
                     one.first = number;
                     one.count = 1;
                     one.body = frame;
                     take_frames(one);
                   });
                   if (expected != record->first + record->count) lose(record->session);
                 }});
}

void Delivery::take_record(const Record& record) {
  switch (record.type) {
    case RecordType::frames: has_work_since_checkpoint_ = true; return take_frames(record);
    case RecordType::skipped: {
      has_work_since_checkpoint_ = true;
      const auto it = unfinished_.find(record.session);
      const auto skipped = decode_skipped(record.body);
      const bool is_passed = it != unfinished_.end() && record.first <= it->second.assembly.through;
      if (skipped && skipped->refusal.code != ErrorCode::none && !is_passed) drop(record.session);
      return;
    }
    case RecordType::forget: return forget(record.session);
    case RecordType::session:
    case RecordType::pieces:
    case RecordType::log_opened:
    case RecordType::checkpoint: return;
  }
}

// Until a checkpoint is behind it, a recovery would deliver what came before once more, and needs to know whose it was.
void Delivery::forget(std::uint64_t session) {
  drop(session);
  if (is_replaying_) return registry_.purge(session);
  has_work_since_checkpoint_ = true;
  forgotten_.emplace_back(taking_batch_, session);
}

void Delivery::take_frames(const Record& record) {
  const SessionEntry* session = registry_.find(record.session);
  if (session == nullptr && is_replaying_) return;  // it was over before the checkpoint
  if (session == nullptr) return log_.error("messages of a session whose record is damaged are left in the journal");
  InboxLog* plain = nullptr;
  const auto is_within = [&] { return unfinished_.contains(record.session) || damaged_.contains(record.session); };
  bool is_unfinished = is_within();
  ByteView rest = record.body;
  for (Seq number = record.first; !rest.empty(); number = number.next()) {
    const FrameHeader header = decode_header(rest.data());
    const ByteView payload = rest.subspan(kHeaderSize, header.payload_size);
    rest = rest.subspan(kHeaderSize + header.payload_size);
    if (header.type == FrameType::data && !is_unfinished) {
      if (is_replaying_) continue;
      if (plain == nullptr) plain = &log_of(session->client_id, session->channel, session->kind);
      put(*plain, session->kind, payload);
    } else {
      take_frame(*session, number, header.type, payload);
      is_unfinished = is_within();
    }
  }
}

void Delivery::take_frame(const SessionEntry& session, Seq number, FrameType type, ByteView payload) {
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
  assembly.add(number, payload);
  unfinished.is_carried = false;
  if (type == FrameType::data) {
    deliver(session, assembly);
    erase(session.index);
  } else if (!is_replaying_ && (assembly.part || assembly.bytes.size() > options_.assembly_bytes) &&
             std::find(spills_.begin(), spills_.end(), session.index) == spills_.end()) {
    spills_.push_back(session.index);
  }
}

void Delivery::on_header(const SessionEntry& session, Seq number, ByteView payload) {
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

void Delivery::drop(std::uint64_t session) {
  const auto it = unfinished_.find(session);
  if (it == unfinished_.end()) return;
  if (it->second.assembly.part) done_parts_.push_back(it->second.assembly.part);
  std::erase(spills_, session);
  erase(session);
}

// Numbers of this session are lost to damage. A message that lacks some of them is not delivered.
void Delivery::lose(std::uint64_t session) {
  const bool was_within = unfinished_.contains(session);
  drop(session);
  damaged_[session] = damaged_[session] || was_within;
}

// Behind a loss nobody knows where a message begins. A frame that is a message by itself is believed to be one, unless
// another was begun before the loss; of all others the rest is left out.
bool Delivery::is_swallowed(std::uint64_t session, FrameType type) {
  const auto it = damaged_.find(session);
  if (it == damaged_.end()) return false;
  if (type == FrameType::fragment) it->second = true;
  if (type == FrameType::fragment) return true;
  const bool is_rest = type == FrameType::data && it->second;
  if (is_rest && !is_replaying_)
    log_.error("a message of session " + std::to_string(session) + " is left out: the journal was damaged within it");
  damaged_.erase(it);
  return is_rest;
}

// A recovery from the checkpoint there is now would still need its pieces.
void Delivery::erase(std::uint64_t session) {
  const auto it = unfinished_.find(session);
  if (it->second.first_batch != 0) finished_from_ = std::min(finished_from_, it->second.first_batch);
  unfinished_.erase(it);
}

void Delivery::deliver(const SessionEntry& session, Assembly& assembly) {
  std::erase(spills_, session.index);
  if (assembly.part) done_parts_.push_back(assembly.part);
  if (is_replaying_) return;
  InboxLog& log = log_of(session.client_id, assembly.channel, assembly.kind);
  if (!assembly.part) return put(log, assembly.kind, assembly.bytes);
  if (assembly.kind == MessageKind::binary) {
    ByteWriter writer(log.tail());
    writer.u32(static_cast<std::uint32_t>(assembly.size()));
    writer.u32(assembly.checksum);
  }
  log.pending.push_back({assembly.part, std::move(assembly.bytes)});
  if (assembly.kind != MessageKind::binary) log.tail().push_back('\n');
  queue(log);
}

InboxLog& Delivery::log_of(const std::string& client_id, const std::string& channel, MessageKind kind) {
  const std::string name = channel + (kind == MessageKind::binary ? ".bin" : ".log");
  std::unique_ptr<InboxLog>& log = logs_[client_id + "/" + name];
  if (!log) {
    log = std::make_unique<InboxLog>();
    log->client_id = client_id;
    log->name = name;
    log->path = options_.inbox + "/" + client_id + "/" + name;
  }
  return *log;
}

// USER.md, "The inbox": text is the message and one LF; binary is u32 length, u32 CRC-32, bytes.
void Delivery::put(InboxLog& log, MessageKind kind, ByteView payload) {
  Bytes& out = log.tail();
  if (kind == MessageKind::binary) {
    ByteWriter writer(out);
    writer.u32(static_cast<std::uint32_t>(payload.size()));
    writer.u32(crc32(0, payload));
    writer.bytes(payload);
  } else {
    append(out, payload);
    out.push_back('\n');
  }
  if (is_blocked(log)) blocked_bytes_ += payload.size();
  queue(log);
}

void Delivery::queue(InboxLog& log) {
  if (log.is_queued) return;
  log.is_queued = true;
  round_.push_back(&log);
}

// --- opening ---

bool Delivery::open_logs() {
  std::vector<InboxLog*> logs;
  for (InboxLog* log : round_)
    if (log->state == InboxLog::State::closed && !is_blocked(*log) && logs.size() < kLogsPerJob) logs.push_back(log);
  if (logs.empty()) return false;
  statuses_.assign(logs.size() * 2, {});
  Job job;
  for (std::size_t i = 0; i < logs.size(); ++i) {
    InboxLog& log = *logs[i];
    log.id = next_log_id_++;
    log.link = options_.links + "/" + hex(log.id);
    job.push_back(file_op::make_directory(options_.inbox + "/" + log.client_id, kDirectoryMode));
    job.push_back(file_op::open_or_create(log.file, log.path, kLogMode));
    job.push_back(file_op::status(log.file, statuses_[i * 2]));
    job.push_back(file_op::make_link(log.path, log.link));
    job.push_back(file_op::status_of_path(log.link, statuses_[i * 2 + 1]));
  }
  // Both names are to be there for as long as the log record is.
  std::set<std::string> directories{options_.inbox, options_.links};
  for (const InboxLog* log : logs) directories.insert(options_.inbox + "/" + log->client_id);
  for (const std::string& directory : directories) job.push_back(file_op::sync_directory(directory));
  run(std::move(job), [this, logs](JobResult result) { on_opened(logs, result); });
  return true;
}

void Delivery::on_opened(const std::vector<InboxLog*>& logs, JobResult result) {
  const bool all_are_open = result.ok() || result.operation >= logs.size() * kOpenOperations;
  const std::size_t opened = result.ok() ? logs.size() : all_are_open ? 0 : result.operation / kOpenOperations;
  for (std::size_t i = 0; i < opened; ++i) {
    InboxLog& log = *logs[i];
    const FileStatus& status = statuses_[i * 2];
    if (statuses_[i * 2 + 1].inode != status.inode || statuses_[i * 2 + 1].device != status.device) {
      block(log, ESTALE, "opening");  // renamed between the two
      continue;
    }
    log.identity = status;
    log.length = status.size;
    log.is_rewriting = false;
    log.trouble.clear();
    log.state = InboxLog::State::registering;
    log.registered_in = journal_->gathering_number();
    Bytes body;
    encode_log({log.id, log.client_id, log.name, status.device, status.inode, status.size}, body);
    for (int copy = 0; copy < 2; ++copy) journal_->append({.type = RecordType::log_opened, .body = body});
  }
  if (all_are_open && !result.ok())
    for (InboxLog* log : logs) block(*log, result.error, "opening");
  else if (opened < logs.size())
    block(*logs[opened], result.error, "opening");
  journal_->flush();
}

void Delivery::block(InboxLog& log, int error, const char* doing) {
  log.blocked_until = now_ + kRetry;
  const std::string trouble = std::strerror(error);
  if (log.trouble != trouble) log_.warn(log.path + ": " + doing + " fails (" + trouble + "); what is for it waits");
  log.trouble = trouble;
  if (log.state == InboxLog::State::closed && log.file.is_open()) {
    auto file = std::make_shared<File>(std::exchange(log.file, {}));
    Job close{file_op::close(*file)};
    disk_.submit(std::move(close), [file](JobResult) {});
  }
}

// --- writing ---

bool Delivery::write_round() {
  Job job;
  add_spills(job);
  spill_operations_ = job.size();
  statuses_.assign(round_.size(), {});
  std::vector<Share> shares;
  for (InboxLog* log : round_) {
    if (log->state == InboxLog::State::registering && log->registered_in <= journal_->last_durable())
      log->state = InboxLog::State::ready;
    const bool is_writable = log->state == InboxLog::State::ready || log->state == InboxLog::State::left;
    if (!is_writable || is_blocked(*log)) continue;
    if (log->state == InboxLog::State::ready && !log->is_rewriting)
      job.push_back(file_op::expect_identity(log->path, log->identity));
    std::uint64_t at = log->length;
    for (LogChunk& chunk : log->pending) {
      if (chunk.part && chunk.part->written > 0) {
        job.push_back(log->is_rewriting ? file_op::write_file(log->file, at, chunk.part->file, chunk.part->written)
                                        : file_op::append_file(log->file, chunk.part->file, chunk.part->written));
        at += chunk.part->written;
      }
      job.push_back(log->is_rewriting ? file_op::write(log->file, at, chunk.bytes)
                                      : file_op::append(log->file, chunk.bytes));
      at += chunk.bytes.size();
    }
    job.push_back(file_op::status(log->file, statuses_[shares.size()]));
    shares.push_back({log, job.size()});
  }
  if (job.empty()) return false;
  run(std::move(job), [this, shares](JobResult result) { on_written(shares, result); });
  return true;
}

void Delivery::add_spills(Job& job) {
  if (spills_blocked_until_ > now_) return;
  for (const std::uint64_t session : spills_) {
    Assembly& assembly = unfinished_.at(session).assembly;
    if (!assembly.part) {
      assembly.part = std::make_shared<Part>();
      assembly.part->path = options_.parts + "/" + hex(session) + "-" + hex(assembly.first.value) + ".part";
    }
    if (!assembly.part->file.is_open())
      job.push_back(file_op::open_or_create(assembly.part->file, assembly.part->path, kPartMode));
    job.push_back(file_op::write(assembly.part->file, assembly.part->written, assembly.bytes));
  }
}

void Delivery::on_written(const std::vector<Share>& shares, JobResult result) {
  if (!result.ok() && result.operation < spill_operations_) {
    log_.error(options_.parts + ": " + std::strerror(result.error) + "; large messages wait");
    spills_blocked_until_ = now_ + kRetry;
    return;
  }
  const bool has_spilled = spill_operations_ > 0;
  for (const std::uint64_t session : has_spilled ? std::exchange(spills_, {}) : std::vector<std::uint64_t>{}) {
    Unfinished& unfinished = unfinished_.at(session);
    Assembly& assembly = unfinished.assembly;
    assembly.part->written += assembly.bytes.size();
    assembly.part->is_dirty = true;
    assembly.bytes.clear();
  }
  for (std::size_t i = 0; i < shares.size(); ++i) {
    InboxLog& log = *shares[i].log;
    if (result.ok() || shares[i].end <= result.operation) {
      log.identity.size = statuses_[i].size;
      complete(log);
      continue;
    }
    if (result.error == ESTALE && log.state == InboxLog::State::ready) {
      log.state = InboxLog::State::left;  // renamed or removed: the rest still belongs to it
    } else {
      log.is_rewriting = true;  // part of it may be there
      block(log, result.error, "writing");
    }
    break;
  }
}

void Delivery::complete(InboxLog& log) {
  for (LogChunk& chunk : log.pending) log.length += (chunk.part ? chunk.part->written : 0) + chunk.bytes.size();
  log.pending.clear();
  log.is_dirty = true;
  log.is_queued = false;
  log.trouble.clear();
  log.last_written = now_;
  std::erase(round_, &log);
  const bool was_rewriting = std::exchange(log.is_rewriting, is_recovering_);
  if (log.state == InboxLog::State::left) wants_checkpoint_ = true;
  if (was_rewriting || log.identity.size == log.length) return;
  log_.warn(log.path + (log.identity.size < log.length ? " became shorter" : " was written to by somebody else") +
            "; going on at its end");
  log.length = log.identity.size;
  wants_checkpoint_ = true;
}

// --- checkpoints ---

bool Delivery::checkpoint_is_due() const {
  if (awaited_batch_ != 0 || delivered_ < recovered_through_) return false;
  if (wants_checkpoint_) return true;
  if (!has_work_since_checkpoint_) return false;
  return bytes_since_checkpoint_ >= kCheckpointBytes || now_ - last_checkpoint_ >= kCheckpointInterval;
}

void Delivery::begin_checkpoint() {
  wants_checkpoint_ = has_work_since_checkpoint_ = false;
  bytes_since_checkpoint_ = 0;
  last_checkpoint_ = now_;
  checkpoint_ = {.delivered = delivered_, .next_log_id = next_log_id_, .logs = {}, .parts = {}};
  going_parts_ = std::exchange(done_parts_, {});
  going_finished_from_ = std::exchange(finished_from_, kNoBatch);
  const auto open = std::count_if(logs_.begin(), logs_.end(), [](const auto& it) { return it.second->file.is_open(); });
  Job job;
  for (auto& [key, log] : logs_) {
    if (log->state == InboxLog::State::closed) continue;
    const bool is_idle = log->state == InboxLog::State::ready && !log->is_dirty &&
                         (now_ - log->last_written > kIdleLog || static_cast<std::size_t>(open) > kOpenLogs);
    if (log->is_dirty) job.push_back(file_op::sync_data(log->file));
    if (log->state == InboxLog::State::left || is_idle) {
      log->state = InboxLog::State::closing;
    } else {
      checkpoint_.logs.push_back(
          {log->id, log->client_id, log->name, log->identity.device, log->identity.inode, log->length});
    }
  }
  for (auto& [session, unfinished] : unfinished_) {
    Assembly& assembly = unfinished.assembly;
    if (!assembly.part) continue;
    if (assembly.part->is_dirty) job.push_back(file_op::sync_data(assembly.part->file));
    checkpoint_.parts.push_back({session, assembly.to_record()});
  }
  if (!checkpoint_.parts.empty()) job.push_back(file_op::sync_directory(options_.parts));
  run(std::move(job), [this](JobResult result) { on_synced(result); });
}

void Delivery::restart_later(Instant now) { restart_at_ = now + kRetry; }

void Delivery::on_synced(JobResult result) {
  if (!result.ok()) {
    log_.error(options_.inbox + ": sync fails (" + std::strerror(result.error) +
               "); what was written there since the last checkpoint is written again in 5 s");
    restart_later(now_);
    return;
  }
  for (auto& [key, log] : logs_) log->is_dirty = false;
  for (auto& [session, unfinished] : unfinished_)
    if (unfinished.assembly.part) unfinished.assembly.part->is_dirty = false;
  Bytes body;
  encode_checkpoint(checkpoint_, body);
  awaited_batch_ = journal_->gathering_number();
  // Twice: without it everything behind the one before would be delivered again, or that is gone, too.
  for (int copy = 0; copy < 2; ++copy) journal_->append({.type = RecordType::checkpoint, .body = body});
  journal_->flush();
}

void Delivery::on_checkpoint_durable() {
  std::erase_if(forgotten_, [this](const auto& one) {
    if (one.first > checkpoint_.delivered) return false;
    registry_.purge(one.second);
    return true;
  });
  // From here on recovery takes unfinished messages of these parts from there.
  for (const CheckpointRecord::Part& part : checkpoint_.parts)
    if (const auto it = unfinished_.find(part.session); it != unfinished_.end()) it->second.first_batch = 0;
  going_finished_from_ = kNoBatch;
  Job job;
  std::vector<std::shared_ptr<Part>> parts = std::exchange(going_parts_, {});
  for (const auto& part : parts) {
    if (part->file.is_open()) job.push_back(file_op::close(part->file));
    job.push_back(file_op::remove(part->path));
  }
  for (auto& [key, log] : logs_) {
    if (log->state != InboxLog::State::closing) continue;
    auto file = std::make_shared<File>(std::exchange(log->file, {}));
    log->state = InboxLog::State::closed;
    job.push_back(file_op::remove(log->link));
    job.push_back(file_op::close(*file));
    closing_files_.push_back(std::move(file));
  }
  journal_->release_before(checkpoint_.delivered + 1);
  if (job.empty()) return;
  disk_.submit(std::move(job), [parts, files = std::exchange(closing_files_, {})](JobResult) {});
}

Instant Delivery::next_deadline() const {
  if (restart_at_ != kNever) return restart_at_;
  if (is_busy_ || journal_ == nullptr) return kNever;
  const bool may_checkpoint = has_work_since_checkpoint_ && awaited_batch_ == 0 && round_.empty() && spills_.empty();
  Instant deadline = may_checkpoint ? last_checkpoint_ + kCheckpointInterval : kNever;
  for (const InboxLog* log : round_)
    if (is_blocked(*log)) deadline = std::min(deadline, log->blocked_until);
  if (!spills_.empty() && spills_blocked_until_ > now_) deadline = std::min(deadline, spills_blocked_until_);
  return deadline;
}

bool Delivery::is_idle() const {
  return restart_at_ == kNever && !is_busy_ && awaited_batch_ == 0 && queue_.empty() && round_.empty() &&
         !has_work_since_checkpoint_ && !wants_checkpoint_;
}

bool Delivery::carry_forward(std::uint64_t before_batch) {
  if (std::min(finished_from_, going_finished_from_) < before_batch) {
    wants_checkpoint_ = true;
    return false;
  }
  for (auto& [session, unfinished] : unfinished_) {
    if (unfinished.first_batch == 0 || unfinished.first_batch >= before_batch) continue;
    if (unfinished.assembly.part) {  // the next checkpoint has it
      wants_checkpoint_ = true;
      return false;
    }
    if (!journal_->has_space(unfinished.assembly.bytes.size())) return false;
    Bytes body;
    encode_pieces(unfinished.assembly.to_record(), body);
    // Batches that delivery has not taken yet may have more of it.
    unfinished.first_batch = std::min(journal_->gathering_number(), round_through_ + 1);
    journal_->append({.type = RecordType::pieces, .session = session, .body = body});
  }
  return true;
}

}  // namespace cproto
