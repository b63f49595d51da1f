#include "daemon/inbox.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "config/wording.h"

namespace cproto {

namespace {

constexpr std::uint32_t kLogMode = 0640;
constexpr std::uint32_t kDirectoryMode = 02750;
constexpr std::uint32_t kAsideMode = 0600;
constexpr std::size_t kLogsPerJob = 64;
constexpr std::size_t kOpenLogs = 512;
constexpr Duration kIdleLog = 60s;
constexpr Duration kIdleCrowd = 5s;  // more than kOpenLogs, and nothing is written to any
constexpr Duration kRetry = 5s;
constexpr std::uint8_t kMovesMax = 8;
constexpr std::size_t kSpareMax = 8u << 20;  // a round, and as it grew
constexpr std::size_t kOpenOperations = 5;

std::string hex(std::uint64_t value) {
  std::uint8_t bytes[8];
  store_be(bytes, value);
  return to_hex(bytes);
}

std::string aside_path(const std::string& asides, std::uint64_t id) { return asides + "/" + hex(id) + ".aside"; }

LogFields fields_of(const InboxLog& log) {
  return {.client = log.client_id, .channel = std::string_view(log.name).substr(0, log.name.rfind('.'))};
}

}  // namespace

// --- recovery ---

void Inbox::restore(const LogRecord& record) {
  next_log_id_ = std::max(next_log_id_, record.id + 1);
  std::unique_ptr<InboxLog>* place = &logs_[record.client_id + "/" + record.name];
  while (*place && (*place)->id != record.id) place = &(*place)->next;
  *place = from_record(record);
}

std::unique_ptr<InboxLog> Inbox::from_record(const LogRecord& record) const {
  auto log = std::make_unique<InboxLog>();
  log->client_id = record.client_id;
  log->name = record.name;
  log->path = directory_ + "/" + record.client_id + "/" + record.name;
  log->id = record.id;
  log->link = links_ + "/" + hex(record.id);
  log->identity = {record.device, record.inode, record.length, true};
  log->length = record.length;
  log->from = record.from;
  log->state = InboxLog::State::ready;
  log->is_rewriting = true;
  return log;
}

std::string Inbox::open_again() {
  for (auto it = logs_.begin(); it != logs_.end();) {
    // One that is gone has had what it had: all that is for its name goes to the next.
    std::unique_ptr<InboxLog>* place = &it->second;
    while (*place) {
      const std::string trouble = open_again(**place);
      if (trouble.empty()) {
        place = &(*place)->next;
      } else {
        log_.warn(LogEvent::inbox_changed, trouble);
        *place = std::move((*place)->next);
      }
    }
    it = it->second ? std::next(it) : logs_.erase(it);
  }
  return open_asides();
}

// What was set aside waits for its log as before. Of several files that had the name it is for the one that has it
// behind the checkpoint: had it gone to an earlier one, a later would begin behind that.
std::string Inbox::open_asides() {
  for (const CheckpointRecord::Aside& record : std::exchange(restored_asides_, {})) {
    next_log_id_ = std::max(next_log_id_, record.id + 1);
    auto part = std::make_shared<Part>();
    part->path = aside_path(asides_, record.id);
    part->written = record.bytes;
    Job job{file_op::open(part->file, part->path)};
    const JobResult result = disk_.run(job);
    if (result.error == ENOENT) {
      log_.error(LogEvent::journal_damaged,
                 part->path + " is gone: " + human_bytes(record.bytes) + " that waited in it for " + record.client_id +
                     "/" + record.name + " are lost",
                 {.client = record.client_id});
      continue;
    }
    if (!result.ok()) return part->path + ": " + std::strerror(result.error);
    InboxLog& log = follow(place_of(record.client_id, record.name));
    log.aside = part;
    log.aside_id = record.id;
    log.pending.push_back({part, {}});
    queue(log, 0);
  }
  count_shares();
  return {};
}

// Which file a log is, its second name says: a device may have another number after a boot, and an inode in a copy.
bool Inbox::is_log(const FileStatus& file, const InboxLog& log) {
  FileStatus linked;
  Job look{file_op::status_of_path(log.link, linked)};
  if (!disk_.run(look).ok() || !linked.exists) return file.inode == log.identity.inode;
  return file.inode == linked.inode && file.device == linked.device;
}

// The file under the log's name, if it is still the one; else the one under its second name, which is completed there.
// Where that cannot be opened it may be there all the same: what is for it waits, as it does for any log that cannot be
// written.
std::string Inbox::open_again(InboxLog& log) {
  int error = 0;
  for (const std::string* path : {&log.path, &log.link}) {
    FileStatus status;
    Job job{file_op::open(log.file, *path), file_op::status(log.file, status)};
    error = disk_.run(job).error;
    const bool is_removed = path == &log.link && status.links <= 1;
    if (error != 0 || is_removed || !is_log(status, log)) {
      Job close{file_op::close(log.file)};
      if (log.file.is_open()) disk_.run(close);
      continue;
    }
    log.identity.device = status.device;
    log.identity.inode = status.inode;
    log.state = path == &log.path ? InboxLog::State::ready : InboxLog::State::left;
    if (status.size < log.length) {
      log_.warn(LogEvent::inbox_changed,
                log.path + " became shorter (" + std::to_string(status.size) + " of " + std::to_string(log.length) +
                    " bytes); going on at its end",
                fields_of(log));
      log.length = status.size;
    }
    if (++opened_again_ > kOpenLogs) close_linked(log);
    return {};
  }
  if (error == 0 || error == ENOENT) return log.path + " was removed while cprotod was down; beginning a new one";
  if (error != EMFILE && error != ENFILE) block(log, {}, error, "opening");
  return {};
}

// Of many logs not all stay open: descriptors may be fewer. It is opened again by its link.
void Inbox::close_linked(InboxLog& log) {
  FileStatus linked;
  Job look{file_op::status_of_path(log.link, linked)};
  if (!disk_.run(look).ok() || linked.device != log.identity.device || linked.inode != log.identity.inode) return;
  Job close{file_op::close(log.file)};
  disk_.run(close);
}

void Inbox::add_wanted(std::set<std::string>& paths) const {
  for (const auto& [key, first] : logs_)
    for (const InboxLog* log = first.get(); log != nullptr; log = log->next.get()) {
      paths.insert(log->link);
      if (log->aside) paths.insert(log->aside->path);
    }
}

bool Inbox::is_rewriting() const {
  for (const auto& [key, first] : logs_)
    for (const InboxLog* log = first.get(); log != nullptr; log = log->next.get())
      if (log->is_rewriting) return true;
  return false;
}

void Inbox::set_recovering(bool is_recovering) {
  is_recovering_ = is_recovering;
  if (is_recovering) return;
  for (auto it = logs_.begin(); it != logs_.end();) {
    InboxLog& log = follow(it->second);
    log.is_rewriting = log.is_rewriting && log.is_queued;  // it was not written yet
    // What was renamed while nobody looked has what was for it.
    const bool is_left = it->second->state == InboxLog::State::left;
    if (is_left) left_.push_back(std::move(it->second));
    wants_checkpoint_ = wants_checkpoint_ || is_left;
    it = is_left ? logs_.erase(it) : std::next(it);
  }
}

// The file that has the name at this batch. Those before it are left.
InboxLog& Inbox::follow(std::unique_ptr<InboxLog>& log) {
  while (log->next && (batch_ >= log->next->from || !is_recovering_)) {
    left_.push_back(std::exchange(log, std::move(log->next)));
    left_.back()->state = InboxLog::State::left;
    wants_checkpoint_ = true;
  }
  return *log;
}

// --- messages ---

InboxLog& Inbox::log_of(const std::string& client_id, const std::string& channel, MessageKind kind) {
  std::unique_ptr<InboxLog>& log = place_of(client_id, channel + (kind == MessageKind::binary ? ".bin" : ".log"));
  return log->next ? follow(log) : *log;
}

std::unique_ptr<InboxLog>& Inbox::place_of(const std::string& client_id, const std::string& name) {
  std::unique_ptr<InboxLog>& log = logs_[client_id + "/" + name];
  if (!log) {
    log = std::make_unique<InboxLog>();
    log->client_id = client_id;
    log->name = name;
    log->path = directory_ + "/" + client_id + "/" + name;
  }
  return log;
}

// Recovering: what this batch has for the name is in a file before this one, which was removed since.
bool Inbox::was_before(const InboxLog& log) const { return is_recovering_ && batch_ < log.from; }

// USER.md, "The inbox": text is the message and one LF; binary is u32 length, u32 CRC-32, bytes.
void Inbox::put(InboxLog& log, MessageKind kind, ByteView payload) {
  if (was_before(log)) return;
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
  queue(log, payload.size());
}

void Inbox::put(InboxLog& log, Assembly& assembly) {
  if (was_before(log)) return;
  const std::size_t in_memory = assembly.bytes.size();
  if (assembly.kind == MessageKind::binary) {
    ByteWriter writer(log.tail());
    writer.u32(static_cast<std::uint32_t>(assembly.size()));
    writer.u32(assembly.checksum);
  }
  log.pending.push_back({assembly.part, std::move(assembly.bytes)});
  if (assembly.kind != MessageKind::binary) log.tail().push_back('\n');
  queue(log, in_memory);
}

void Inbox::queue(InboxLog& log, std::size_t size) {
  if (!log.trouble.empty()) blocked_bytes_ += size;
  if (log.is_queued) return;
  log.is_queued = true;
  pending_.push_back(&log);
}

bool Inbox::is_all_blocked(Instant now) const {
  return std::all_of(pending_.begin(), pending_.end(), [&](const InboxLog* log) { return is_blocked(*log, now); });
}

void Inbox::visit_blocked(const std::function<void(const InboxLog&)>& each) const {
  for (const InboxLog* log : pending_)
    if (!log->trouble.empty()) each(*log);
}

Instant Inbox::next_deadline(Instant now) const {
  Instant deadline = kNever;
  for (const InboxLog* log : pending_)
    if (is_blocked(*log, now)) deadline = std::min(deadline, log->blocked_until);
  return deadline;
}

// --- descriptors ---

// Whether some log has a descriptor and will not need it: at once, or when what is for it was written.
bool Inbox::can_relieve(Instant now) const {
  return std::any_of(logs_.begin(), logs_.end(), [&](const auto& it) {
    const InboxLog& log = *it.second;
    return log.file.is_open() && (log.is_queued ? !is_blocked(log, now) : log.state == InboxLog::State::ready);
  });
}

bool Inbox::is_short_of_descriptors(Instant now, int error) {
  if ((error != EMFILE && error != ENFILE) || !can_relieve(now)) return false;
  return lacks_descriptors_ = true;
}

Job Inbox::relieving_job(Instant now) {
  if (!lacks_descriptors_) return {};
  relieved_.clear();
  Job job;
  for (auto& [key, log] : logs_) {
    if (log->state != InboxLog::State::ready || log->is_queued || !log->file.is_open()) continue;
    if (log->is_dirty) job.push_back(file_op::sync_data(log->file));
    job.push_back(file_op::close(log->file));
    relieved_.push_back(log.get());
  }
  // With nothing in hand, others are about to be written, and have theirs then.
  if (!job.empty() || !can_relieve(now)) lacks_descriptors_ = false;
  return job;
}

void Inbox::on_relieved() {
  for (InboxLog* log : relieved_) log->is_dirty = false;
}

// --- opening ---

Job Inbox::opening_job(Instant now) {
  opening_.clear();
  if (lacks_descriptors_) return {};
  for (InboxLog* log : pending_)
    if (log->state == InboxLog::State::closed && !is_blocked(*log, now) && opening_.size() < kLogsPerJob)
      opening_.push_back(log);
  statuses_.assign(opening_.size() * 2, {});
  Job job;
  for (std::size_t i = 0; i < opening_.size(); ++i) {
    InboxLog& log = *opening_[i];
    log.id = next_log_id_++;
    log.link = links_ + "/" + hex(log.id);
    job.push_back(file_op::make_folder(directory_ + "/" + log.client_id, kDirectoryMode));
    job.push_back(file_op::open_or_create(log.file, log.path, kLogMode));
    job.push_back(file_op::status(log.file, statuses_[i * 2]));
    job.push_back(file_op::make_link(log.path, log.link));
    job.push_back(file_op::status_of_path(log.link, statuses_[i * 2 + 1]));
  }
  return job;
}

void Inbox::on_opened(Instant now, JobResult result) {
  const std::size_t opened = result.ok() ? opening_.size() : result.operation / kOpenOperations;
  if (!result.ok() && !is_short_of_descriptors(now, result.error)) on_not_opened(*opening_[opened], now, result.error);
  opening_.resize(opened);
  for (std::size_t i = 0; i < opened; ++i) {
    InboxLog& log = *opening_[i];
    log.identity = statuses_[i * 2];
    const FileStatus& linked = statuses_[i * 2 + 1];
    if (linked.inode == log.identity.inode && linked.device == log.identity.device) continue;
    on_not_opened(log, now, ESTALE);
    opening_[i] = nullptr;
  }
  std::erase(opening_, nullptr);
}

// Renamed or removed between its opening and its second name, it is opened anew at once. Not for ever: it may be
// something else that is not there.
void Inbox::on_not_opened(InboxLog& log, Instant now, int error) {
  if ((error == ENOENT || error == ESTALE) && log.moves++ < kMovesMax) return close_file(log);
  log.moves = 0;
  block(log, now, error, "opening");
}

// Both names are to be there for as long as the log record is.
Job Inbox::naming_job() const {
  if (opening_.empty()) return {};
  std::set<std::string> directories{directory_, links_};
  for (const InboxLog* log : opening_) directories.insert(directory_ + "/" + log->client_id);
  Job job;
  for (const std::string& directory : directories) job.push_back(file_op::sync_directory(directory));
  return job;
}

void Inbox::on_named(Instant now, JobResult result, Journal& journal) {
  for (InboxLog* log : std::exchange(opening_, {})) {
    if (!result.ok()) {
      block(*log, now, result.error, "opening");
      continue;
    }
    log->length = log->identity.size;
    log->is_rewriting = false;
    log->trouble.clear();
    log->moves = 0;
    log->state = InboxLog::State::registering;
    log->registered_in = journal.gathering_number();
    const FileStatus& file = log->identity;
    Bytes body;
    encode_log({log->id, log->client_id, log->name, file.device, file.inode, file.size, log->from}, body);
    for (int copy = 0; copy < 2; ++copy) journal.append({.type = RecordType::log_opened, .body = body});
  }
  journal.flush();
}

void Inbox::block(InboxLog& log, Instant now, int error, const char* doing) {
  log.blocked_until = now + kRetry;
  const std::string trouble = std::strerror(error);
  if (log.trouble != trouble)
    log_.warn(LogEvent::inbox_blocked, log.path + ": " + doing + " fails (" + trouble + "); what is for it waits",
              fields_of(log));
  log.trouble = trouble;
  if (log.state == InboxLog::State::closed) close_file(log);
}

void Inbox::close_file(InboxLog& log) {
  if (!log.file.is_open()) return;
  const auto file = std::make_shared<File>(std::exchange(log.file, {}));
  // Its second name, if it has one by now, would keep its space when it is removed.
  disk_.submit({file_op::close(*file), file_op::remove(log.link)}, [file](JobResult) {});
}

// --- writing ---

void Inbox::add_writes(Instant now, const Journal& journal, Job& job) {
  shares_.clear();
  statuses_.assign(pending_.size(), {});
  for (InboxLog* log : pending_) {
    if (log->state == InboxLog::State::registering && log->registered_in <= journal.last_durable())
      log->state = InboxLog::State::ready;
    const bool is_writable = log->state == InboxLog::State::ready || log->state == InboxLog::State::left;
    if (!is_writable || is_blocked(*log, now)) continue;
    if (!log->file.is_open()) {
      if (lacks_descriptors_) continue;
      job.push_back(file_op::open(log->file, log->link));
    }
    if (log->state == InboxLog::State::ready && !log->is_rewriting)
      job.push_back(file_op::expect_identity(log->path, log->identity));
    // Its owner may have removed or cut it, as one does with a full disk: what is written again would go with it, or
    // leave a hole.
    if (log->state == InboxLog::State::ready && log->is_rewriting && !is_recovering_)
      job.push_back(file_op::expect_kept(log->file, log->path));
    job.push_back(file_op::expect_size(log->file, log->is_rewriting ? log->length : 0, statuses_[shares_.size()]));
    const std::size_t writes = job.size();
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
    job.push_back(file_op::status(log->file, statuses_[shares_.size()]));
    shares_.push_back({log, writes, job.size()});
  }
}

void Inbox::on_written(Instant now, JobResult result) {
  for (std::size_t i = 0; i < shares_.size(); ++i) {
    InboxLog& log = *shares_[i].log;
    if (result.ok() || shares_[i].end <= result.operation) {
      log.identity.size = statuses_[i].size;
      complete(log, now);
      continue;
    }
    if (result.error == ESTALE && log.state == InboxLog::State::ready) {
      leave(log);
    } else if (result.error == ERANGE && log.is_rewriting) {
      log.is_rewriting = is_recovering_;
      go_on_at_end(log, statuses_[i].size);
    } else if (!is_short_of_descriptors(now, result.error)) {
      if (result.operation >= shares_[i].writes) {  // part of it may be there
        if (!log.is_rewriting && statuses_[i].size != log.length) go_on_at_end(log, statuses_[i].size);
        log.is_rewriting = true;
      }
      block(log, now, result.error, "writing");
    }
    break;  // the shares behind it were not run
  }
  std::erase_if(pending_, [](const InboxLog* log) { return !log->is_queued; });
  if (pending_.empty()) blocked_bytes_ = 0;
  if (!over_share_.empty()) count_shares();
}

// A round is as large as the one before it, more or less: fresh memory costs more than what is put there.
void Inbox::keep_spare(std::vector<LogChunk>& written) {
  for (LogChunk& chunk : written) {
    if (chunk.bytes.capacity() <= spare_.capacity() || chunk.bytes.capacity() > kSpareMax) continue;
    spare_.swap(chunk.bytes);
    spare_.clear();
  }
}

// It was renamed or removed. It keeps what it has; what is pending goes to a new one of its name.
void Inbox::leave(InboxLog& log) {
  if (!log.trouble.empty())
    log_.info(LogEvent::inbox_writable, log.path + " was renamed or removed; what waited goes to a new one",
              fields_of(log));
  std::unique_ptr<InboxLog>& place = logs_.at(log.client_id + "/" + log.name);
  auto fresh = std::make_unique<InboxLog>();
  fresh->client_id = log.client_id;
  fresh->name = log.name;
  fresh->path = log.path;
  fresh->through = log.through;
  fresh->from = log.through + 1;
  fresh->pending = std::exchange(log.pending, {});
  fresh->aside = std::exchange(log.aside, nullptr);
  fresh->aside_id = log.aside_id;
  fresh->is_queued = std::exchange(log.is_queued, false);
  std::replace(pending_.begin(), pending_.end(), &log, fresh.get());
  log.state = InboxLog::State::left;
  left_.push_back(std::exchange(place, std::move(fresh)));
  wants_checkpoint_ = true;
}

void Inbox::complete(InboxLog& log, Instant now) {
  for (LogChunk& chunk : log.pending) log.length += (chunk.part ? chunk.part->written : 0) + chunk.bytes.size();
  keep_spare(log.pending);
  log.pending.clear();
  if (log.aside) {
    done_asides_.push_back(std::exchange(log.aside, nullptr));
    wants_checkpoint_ = true;  // the one there is names it
  }
  log.through = batch_;
  log.is_dirty = true;
  log.is_queued = false;
  if (!log.trouble.empty()) log_.info(LogEvent::inbox_writable, log.path + " can be written again", fields_of(log));
  log.trouble.clear();
  log.last_written = idle_since_ = now;
  const bool was_rewriting = std::exchange(log.is_rewriting, is_recovering_);
  if (!was_rewriting && log.identity.size != log.length) go_on_at_end(log, log.identity.size);
}

void Inbox::go_on_at_end(InboxLog& log, std::uint64_t size) {
  log_.warn(
      LogEvent::inbox_changed,
      log.path + (size < log.length ? " became shorter" : " was written to by somebody else") + "; going on at its end",
      fields_of(log));
  log.length = size;
  wants_checkpoint_ = true;
}

bool Inbox::close_logs() {
  const auto is_open = [](const auto& log) { return log.second->state != InboxLog::State::closed; };
  closes_logs_ = !left_.empty() || std::any_of(logs_.begin(), logs_.end(), is_open);
  wants_checkpoint_ = wants_checkpoint_ || closes_logs_;
  return closes_logs_;
}

void Inbox::add_closes(Job& job, std::vector<std::shared_ptr<File>>& files) {
  const auto close_part = [&](const std::shared_ptr<Part>& part) {
    if (!part || !part->file.is_open()) return;
    files.push_back(std::make_shared<File>(std::exchange(part->file, {})));
    job.push_back(file_op::close(*files.back()));
  };
  for (const auto* parts : {&done_asides_, &going_asides_})
    for (const auto& part : *parts) close_part(part);
  const auto close = [&](InboxLog& log) {
    close_part(log.aside);
    if (!log.file.is_open()) return;
    files.push_back(std::make_shared<File>(std::exchange(log.file, {})));
    job.push_back(file_op::close(*files.back()));
  };
  for (auto& [key, first] : logs_)
    for (InboxLog* log = first.get(); log != nullptr; log = log->next.get()) close(*log);
  for (const auto& log : left_) close(*log);
}

// --- what waits ---

// A file that was renamed with part of a message in it is not named by checkpoints: it is to be completed before one.
bool Inbox::is_settled() const {
  return std::all_of(pending_.begin(), pending_.end(),
                     [](const InboxLog* log) { return log->is_set_aside() && log->state != InboxLog::State::left; });
}

std::uint64_t Inbox::held_bytes() const {
  std::uint64_t sum = 0;
  for (const InboxLog* log : pending_)
    for (const LogChunk& chunk : log->pending) sum += chunk.bytes.size();
  return sum;
}

// Of a file that was renamed, and cannot be completed, nothing is set aside: it would go to another.
Job Inbox::aside_job(Instant now) {
  setting_aside_.clear();
  Job job;
  if (aside_blocked_until_ > now) return job;
  for (InboxLog* log : pending_) {
    if (log->is_set_aside() || log->state == InboxLog::State::left) continue;
    if (!log->aside) {
      log->aside = std::make_shared<Part>();
      log->aside_id = next_log_id_++;
      log->aside->path = aside_path(asides_, log->aside_id);
      log->pending.insert(log->pending.begin(), {log->aside, {}});
    }
    Part& aside = *log->aside;
    if (!aside.file.is_open()) job.push_back(file_op::open_or_create(aside.file, aside.path, kAsideMode));
    std::uint64_t at = aside.written;
    for (const LogChunk& chunk : log->pending) {
      if (chunk.part && chunk.part != log->aside) {
        job.push_back(file_op::write_file(aside.file, at, chunk.part->file, chunk.part->written));
        at += chunk.part->written;
      }
      job.push_back(file_op::write(aside.file, at, chunk.bytes));
      at += chunk.bytes.size();
    }
    setting_aside_.push_back(log);
  }
  return job;
}

void Inbox::on_set_aside(Instant now, JobResult result) {
  if (!result.ok()) {
    if (std::exchange(aside_error_, result.error) != result.error)
      log_.error(LogEvent::inbox_blocked,
                 asides_ + ": " + std::strerror(result.error) + "; what waits for logs stays in the journal");
    aside_blocked_until_ = now + kRetry;
    return;
  }
  aside_error_ = 0;
  for (InboxLog* log : setting_aside_) {
    log->aside->written = log->pending_bytes();
    log->aside->is_dirty = true;
    log->pending.clear();
    log->pending.push_back({log->aside, {}});
  }
  blocked_bytes_ = 0;
  count_shares();
}

// DESIGN §3. A client whose logs cannot be written waits alone.
void Inbox::count_shares() {
  std::map<std::string, std::uint64_t> waiting;
  std::map<std::string, std::string> over;
  for (const InboxLog* log : pending_) {
    if (!log->aside) continue;
    const std::uint64_t bytes = waiting[log->client_id] += log->aside->written;
    if (bytes > share_)
      over[log->client_id] =
          log->path + (log->trouble.empty() ? " is not written yet" : " cannot be written (" + log->trouble + ")");
  }
  for (const auto& [client, why] : over)
    if (!over_share_.contains(client))
      log_.warn(LogEvent::inbox_blocked,
                client + ": " + why + ", and " + human_bytes(waiting[client]) + " wait for that; its senders wait",
                {.client = client});
  for (const auto& [client, why] : over_share_)
    if (!over.contains(client))
      log_.info(LogEvent::inbox_writable, client + ": its inbox can be written again; its senders go on",
                {.client = client});
  over_share_ = std::move(over);
}

std::string Inbox::over_share(const std::string& client) const {
  const auto it = over_share_.find(client);
  return it == over_share_.end() ? std::string() : it->second;
}

Instant Inbox::idle_at() const { return open_ > kOpenLogs ? idle_since_ + kIdleCrowd : kNever; }

// --- checkpoints ---

void Inbox::begin_checkpoint(Instant now, CheckpointRecord& checkpoint, Job& job) {
  wants_checkpoint_ = false;
  checkpoint.next_log_id = next_log_id_;
  going_asides_ = std::exchange(done_asides_, {});
  for (const InboxLog* log : pending_) {
    if (log->aside->is_dirty) job.push_back(file_op::sync_data(log->aside->file));
    checkpoint.asides.push_back({log->aside_id, log->client_id, log->name, log->aside->written});
  }
  if (!pending_.empty()) job.push_back(file_op::sync_directory(asides_));
  if (closes_logs_) idle_since_ = now;
  const auto open = std::count_if(logs_.begin(), logs_.end(), [](const auto& it) { return it.second->file.is_open(); });
  for (auto& [key, log] : logs_) {
    if (log->state == InboxLog::State::closed) continue;
    const bool is_idle =
        log->state == InboxLog::State::ready && !log->is_dirty && !log->is_queued &&
        (closes_logs_ || now - log->last_written > kIdleLog || static_cast<std::size_t>(open) > kOpenLogs);
    if (log->is_dirty) job.push_back(file_op::sync_data(log->file));
    if (is_idle) {
      log->state = InboxLog::State::closing;
    } else {
      checkpoint.logs.push_back({log->id, log->client_id, log->name, log->identity.device, log->identity.inode,
                                 log->length, checkpoint.delivered + 1});
    }
  }
  closes_logs_ = false;
  open_ = checkpoint.logs.size();
  for (const auto& log : left_) {
    if (log->is_dirty) job.push_back(file_op::sync_data(log->file));
    if (!log->is_queued) log->state = InboxLog::State::closing;
  }
}

void Inbox::on_synced() {
  for (const InboxLog* log : pending_)
    if (log->aside) log->aside->is_dirty = false;
  for (auto& [key, log] : logs_) log->is_dirty = false;
  for (const auto& log : left_) log->is_dirty = false;
}

void Inbox::on_checkpoint_durable(Job& job, std::vector<std::shared_ptr<File>>& files) {
  Bytes().swap(spare_);  // there may be no next round for long
  const auto closes = [&](InboxLog& log) {
    if (log.state != InboxLog::State::closing) return false;
    log.state = InboxLog::State::closed;
    job.push_back(file_op::remove(log.link));
    if (!log.file.is_open()) return true;
    files.push_back(std::make_shared<File>(std::exchange(log.file, {})));
    job.push_back(file_op::close(*files.back()));
    return true;
  };
  std::erase_if(logs_, [&](auto& one) { return closes(*one.second) && !one.second->is_queued; });
  std::erase_if(left_, [&](const auto& log) { return closes(*log); });
  for (const auto& part : std::exchange(going_asides_, {})) {
    job.push_back(file_op::remove(part->path));
    if (!part->file.is_open()) continue;
    files.push_back(std::make_shared<File>(std::exchange(part->file, {})));
    job.push_back(file_op::close(*files.back()));
  }
}

}  // namespace cproto
