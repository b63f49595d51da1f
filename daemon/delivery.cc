#include "daemon/delivery.h"

#include <malloc.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "proto/assert.h"

namespace cproto {

namespace {

constexpr std::uint32_t kDirectoryMode = 02750;
constexpr std::uint32_t kPrivateDirectoryMode = 0700;

// A round takes batches until so many bytes wait to be written.
constexpr std::size_t kRoundBytes = 4u << 20;
// And rounds begin so far apart, unless there is enough for one: with each batch one, delivery would take the disk and
// the processor from the next batch.
constexpr Duration kRoundInterval = 10ms;
constexpr std::uint64_t kCheckpointBytes = 64u << 20;
// From the beginning of one to that of the next. Where syncing takes long, as that of many logs does, a fifth of the
// time is spent on it.
constexpr Duration kCheckpointInterval = 1s;
constexpr Duration kCheckpointIntervalMax = 10s;
constexpr int kCheckpointPart = 5;
constexpr std::size_t kCrowd = 500;  // logs closed since the allocator was asked for its pages
constexpr Duration kRetry = 5s;

}  // namespace

Delivery::Delivery(Disk& disk, const DeliveryOptions& options, SessionRegistry& registry, Log& log)
    : disk_(disk),
      options_(options),
      log_(log),
      inbox_(disk, options.inbox, options.links, options.parts, options.client_share, log),
      files_(options.inbox, options.file_parts, options.existing_file, log),
      assembler_(options.parts, options.assembly_bytes, registry, log, inbox_, files_) {}

Delivery::~Delivery() {
  *alive_ = false;
  Job job;
  std::vector<std::shared_ptr<File>> files;
  inbox_.add_closes(job, files);
  assembler_.add_closes(job, files);
  if (!job.empty()) disk_.submit(std::move(job), [files](JobResult) {});
}

void Delivery::run(Job job, std::function<void(JobResult)> done) {
  CPROTO_ASSERT(!is_busy_);
  is_busy_ = true;
  disk_.submit(std::move(job), [this, alive = alive_, done = std::move(done)](JobResult result) {
    if (!*alive) return;
    is_busy_ = false;
    ++jobs_done_;
    done(result);
    while (advance()) {
    }
  });
}

void Delivery::set_memory(const MemoryShares& shares) {
  memory_ = shares;
  assembler_.set_held_max(shares.messages());
}

// --- recovery ---

void Delivery::restore(const DeliveryRecords& records) {
  for (const auto& [session, carried] : records.pieces)
    if (const auto pieces = decode_pieces(carried.body)) assembler_.restore(session, *pieces, carried.batch);
  delivered_ = records.checkpoint.delivered;
  inbox_.set_recovering(true);
  inbox_.begin_batch(delivered_);
  inbox_.begin_log_ids_at(records.checkpoint.next_log_id);
  for (const LogRecord& log : records.checkpoint.logs) inbox_.restore(log);
  for (const CheckpointRecord::Part& part : records.checkpoint.parts) assembler_.restore(part.session, part.pieces, 0);
  for (const LogRecord& log : records.logs) inbox_.restore(log);
  for (const CheckpointRecord::Aside& aside : records.checkpoint.asides) inbox_.restore(aside);
  for (const CheckpointRecord::File& file : records.checkpoint.files) files_.take(file);
}

std::string Delivery::open_again() {
  Job job{file_op::make_directory(options_.inbox, kDirectoryMode),
          file_op::make_directory(options_.links, kPrivateDirectoryMode),
          file_op::make_directory(options_.parts, kPrivateDirectoryMode)};
  if (const JobResult result = disk_.run(job); !result.ok())
    return job[result.operation].path + ": " + std::strerror(result.error);
  if (std::string trouble = assembler_.open_parts(disk_); !trouble.empty()) return trouble;
  return inbox_.open_again();
}

// Not before the last batch is known to be durable: what it no longer refers to, the one before it may.
void Delivery::remove_orphans(std::set<std::string> wanted) {
  files_.add_wanted(wanted);
  assembler_.add_wanted(wanted);
  inbox_.add_wanted(wanted);
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

void Delivery::start(Instant now, Journal& journal, const std::set<std::string>& wanted_parts) {
  now_ = now;
  next_checkpoint_ = now + kCheckpointInterval;
  journal_ = &journal;
  remove_orphans(wanted_parts);
  for (const BatchPlace& batch : journal.batches())
    if (batch.number > delivered_) queue(batch);
  recovered_through_ = queue_.empty() ? delivered_ : queue_.back().number;
  taken_ = delivered_;
  is_recovering_ = true;
  wants_checkpoint_ = delivered_ > 0 || !queue_.empty();
  journal.release_before(delivered_ + 1);
  pump(now);
}

// From here on logs are appended to, wherever they end.
void Delivery::end_recovery() {
  is_recovering_ = false;
  inbox_.set_recovering(false);
}

// --- the pump: one job at a time ---

void Delivery::on_durable(Instant now, const BatchPlace& batch) {
  now_ = now;
  queue(batch);
  if (queued_bytes_ + batch.size > memory_.queue() && queue_.size() > 1)
    queue_.back().bytes.reset();  // read again when its turn comes
  else if (batch.bytes)
    queued_bytes_ += batch.size;
  if (awaited_batch_ != 0 && batch.number >= awaited_batch_) {
    now_ = now;
    awaited_batch_ = 0;
    on_checkpoint_durable();
  }
  pump(now);
}

void Delivery::queue(const BatchPlace& batch) {
  queue_.push_back(batch);
  waiting_.push_back({batch.number, batch.size, now_});
  waiting_bytes_ += batch.size;
}

void Delivery::on_delivered(std::uint64_t number) {
  delivered_ = number;
  for (; !waiting_.empty() && waiting_.front().number <= number; waiting_.pop_front())
    waiting_bytes_ -= waiting_.front().bytes;
}

Delivery::Backlog Delivery::backlog(Instant now) const {
  return {waiting_.size(), waiting_bytes_, waiting_.empty() ? Duration{0} : now - waiting_.front().since};
}

void Delivery::pump(Instant now) {
  now_ = now;
  while (advance()) {
  }
}

// Does the next thing that can be done. False if there is none, or a job is under way.
bool Delivery::advance() {
  if (is_busy_ || journal_ == nullptr || restart_at_ != kNever) return false;
  if (round_goes_on()) return take_next();
  round_bytes_ = 0;
  if (name_logs() || relieve() || open_logs() || write_pending() || place_files()) return false;
  if (!round_is_over()) return false;
  if (set_aside()) return false;
  if (inbox_.is_settled()) {
    on_delivered(taken_);
    if (is_recovering_ && delivered_ >= recovered_through_) end_recovery();
    if (checkpoint_is_due()) {
      begin_checkpoint();
      return false;
    }
  }
  return may_take() && round_is_due() && take_next();
}

// Whether there is something to take, and room for it.
bool Delivery::may_take() const {
  return !queue_.empty() && inbox_.blocked_bytes() <= memory_.blocked() && !files_.is_full();
}

// Whether nothing is left to be written, but for logs that cannot be.
bool Delivery::round_is_over() const { return !assembler_.has_spills() && inbox_.is_all_blocked(now_); }

// Whether there is enough for a round, or the last one was long ago. Pre: something is queued.
bool Delivery::round_is_due() const {
  return is_recovering_ || !queue_.front().bytes || queued_bytes_ >= kRoundBytes || next_round_ <= now_;
}

// Whether the round that was begun takes more. What cannot be read now is for another, and so is what comes behind what
// is recovered.
bool Delivery::round_goes_on() const {
  return round_bytes_ > 0 && round_bytes_ < kRoundBytes && may_take() && read_failures_ == 0 &&
         taken_ != recovered_through_;
}

// Takes batches that are in memory, or reads one that is not.
bool Delivery::take_next() {
  if (round_bytes_ == 0) next_round_ = now_ + kRoundInterval;
  if (queue_.front().bytes) {
    const BatchPlace batch = std::move(queue_.front());
    queue_.pop_front();
    queued_bytes_ -= batch.size;
    take_batch(batch, *batch.bytes, true);
    return true;
  }
  if (read_blocked_until_ > now_) return false;
  const BatchPlace batch = queue_.front();
  read_buffer_.resize(batch.size);
  Job job = reading_job(journal_->file_of(batch), batch.offset, read_buffer_, read_failures_ > 0);
  run(std::move(job), [this, batch](JobResult result) {
    const bool is_intact = result.ok() && is_intact_batch(batch.number, read_buffer_);
    if (!is_intact && ++read_failures_ < kReadTries) {
      if (!result.ok()) read_blocked_until_ = now_ + kRetry;
      return;
    }
    if (!result.ok())
      log_.error(LogEvent::journal_damaged, "journal: batch " + std::to_string(batch.number) + " cannot be read (" +
                                                std::strerror(result.error) +
                                                "); the messages in it do not come to the inbox");
    read_failures_ = 0;
    queue_.pop_front();
    take_batch(batch, result.ok() ? ByteView(read_buffer_) : ByteView{}, is_intact);
    if (read_buffer_.capacity() > kRoundBytes) Bytes().swap(read_buffer_);
  });
  return false;
}

void Delivery::take_batch(const BatchPlace& place, ByteView bytes, bool is_intact) {
  taken_ = place.number;
  round_bytes_ += place.size;
  bytes_since_checkpoint_ += place.used;
  if (!bytes.empty() && assembler_.take(place, bytes, is_intact)) has_work_since_checkpoint_ = true;
}

bool Delivery::relieve() {
  Job job = inbox_.relieving_job(now_);
  if (job.empty()) return false;
  run(std::move(job), [this](JobResult result) {
    if (!result.ok()) return on_sync_failed(result);
    inbox_.on_relieved();
  });
  return true;
}

bool Delivery::open_logs() {
  Job job = inbox_.opening_job(now_);
  if (job.empty()) return false;
  run(std::move(job), [this](JobResult result) { inbox_.on_opened(now_, result); });
  return true;
}

bool Delivery::name_logs() {
  Job job = inbox_.naming_job();
  if (job.empty()) return false;
  run(std::move(job), [this](JobResult result) { inbox_.on_named(now_, result, *journal_); });
  return true;
}

bool Delivery::write_pending() {
  Job job;
  assembler_.add_spills(now_, job);
  const std::size_t spills = job.size();
  inbox_.add_writes(now_, *journal_, job);
  if (job.empty()) return false;
  run(std::move(job), [this, spills](JobResult result) { on_written(spills, result); });
  return true;
}

bool Delivery::set_aside() {
  Job job = inbox_.aside_job(now_);
  if (job.empty()) return false;
  has_work_since_checkpoint_ = true;
  run(std::move(job), [this](JobResult result) { inbox_.on_set_aside(now_, result); });
  return true;
}

std::string Delivery::over_share(const std::string& client) const {
  const std::string why = inbox_.over_share(client);
  return why.empty() ? files_.over_share(client) : why;
}

bool Delivery::place_files() {
  if (files_.is_empty()) return false;
  Job job = files_.placing_job(now_);
  if (job.empty()) return false;
  has_work_since_checkpoint_ = true;
  run(std::move(job), [this](JobResult result) {
    if (!files_.on_placed(now_, result)) on_sync_failed(result);
  });
  return true;
}

void Delivery::on_sync_failed(const JobResult& result) {
  log_.error(LogEvent::disk_failed, options_.inbox + ": sync fails (" + std::strerror(result.error) +
                                        "); what was written there since the last checkpoint is written again in 5 s");
  restart_later(now_);
}

void Delivery::on_written(std::size_t spills, JobResult result) {
  if (!result.ok() && result.operation < spills) {
    log_.error(LogEvent::inbox_blocked, options_.parts + ": " + std::strerror(result.error) + "; large messages wait");
    return assembler_.block_spills(now_ + kRetry);
  }
  assembler_.on_spilled();
  inbox_.on_written(now_, result);
}

// --- checkpoints ---

bool Delivery::checkpoint_is_due() const {
  if (awaited_batch_ != 0 || delivered_ < recovered_through_) return false;
  if (wants_checkpoint_ || inbox_.wants_checkpoint()) return true;
  if (!has_work_since_checkpoint_) return false;
  return bytes_since_checkpoint_ >= kCheckpointBytes || now_ >= next_checkpoint_;
}

void Delivery::begin_checkpoint() {
  wants_checkpoint_ = has_work_since_checkpoint_ = false;
  bytes_since_checkpoint_ = 0;
  next_checkpoint_ = now_ + kCheckpointInterval;
  checkpoint_ = {};
  checkpoint_.delivered = delivered_;
  checkpoint_.running_time = running_time_ ? running_time_() : Duration{0};
  Job job;
  inbox_.begin_checkpoint(now_, checkpoint_, job);
  files_.add_to(checkpoint_);
  assembler_.begin_checkpoint(checkpoint_, job);
  run(std::move(job), [this](JobResult result) { on_synced(result); });
}

void Delivery::restart_later(Instant now) { restart_at_ = now + kRetry; }

void Delivery::on_synced(JobResult result) {
  if (!result.ok()) return on_sync_failed(result);
  next_checkpoint_ +=
      std::clamp(result.sync_time * kCheckpointPart, kCheckpointInterval, kCheckpointIntervalMax) - kCheckpointInterval;
  inbox_.on_synced();
  assembler_.on_synced();
  Bytes body;
  encode_checkpoint(checkpoint_, body);
  awaited_batch_ = journal_->gathering_number();
  // Twice: without it everything behind the one before would be delivered again, or that is gone, too.
  for (int copy = 0; copy < 2; ++copy) journal_->append({.type = RecordType::checkpoint, .body = body});
  journal_->flush();
}

void Delivery::on_checkpoint_durable() {
  Job job;
  std::vector<std::shared_ptr<File>> files;
  const auto parts = assembler_.on_checkpoint_durable(checkpoint_, job);
  inbox_.on_checkpoint_durable(job, files);
  journal_->release_before(checkpoint_.delivered + 1);
  if (job.empty()) return;
  // What a crowd of logs took lies between what stays: the allocator gives its pages back only when asked; behind this
  // job, which has much of it.
  logs_closed_ += files.size();
  const bool was_crowd = logs_closed_ >= kCrowd;
  if (was_crowd) logs_closed_ = 0;
  disk_.submit(std::move(job), [parts, files, was_crowd, &disk = disk_](JobResult) {
    if (was_crowd) disk.submit({}, [](JobResult) { malloc_trim(0); });
  });
}

void Delivery::hurry(Instant now) {
  next_round_ = now;
  pump(now);
}

void Delivery::handle_timeout(Instant now) {
  if (is_idle() && now >= inbox_.idle_at()) inbox_.close_logs();
  pump(now);
}

Instant Delivery::next_deadline() const {
  if (restart_at_ != kNever) return restart_at();
  if (is_busy_ || journal_ == nullptr) return kNever;
  const bool may_checkpoint = has_work_since_checkpoint_ && awaited_batch_ == 0 && delivered_ >= recovered_through_ &&
                              round_is_over() && inbox_.is_settled();
  return std::min({read_blocked_until_ > now_ ? read_blocked_until_ : kNever,
                   !queue_.empty() && !round_is_due() ? next_round_ : kNever,
                   may_checkpoint ? next_checkpoint_ : kNever, is_idle() ? inbox_.idle_at() : kNever,
                   inbox_.next_deadline(now_), files_.next_deadline(now_), assembler_.next_deadline(now_)});
}

bool Delivery::is_idle() const {
  return restart_at_ == kNever && !is_busy_ && awaited_batch_ == 0 && queue_.empty() && !inbox_.has_pending() &&
         files_.is_empty() && !has_work_since_checkpoint_ && !wants_checkpoint_;
}

bool Delivery::carry_forward(std::uint64_t before_batch) {
  if (journal_ == nullptr) return false;  // what it needs of them is not known before it has begun
  const Assembler::Carried carried = assembler_.carry_forward(before_batch, taken_, *journal_);
  if (carried == Assembler::Carried::after_checkpoint) wants_checkpoint_ = true;
  return carried == Assembler::Carried::all;
}

}  // namespace cproto
