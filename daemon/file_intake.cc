#include "daemon/file_intake.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

#include "proto/assert.h"
#include "proto/frame.h"
#include "proto/receiver.h"

namespace cproto {

namespace {

constexpr std::uint32_t kPartMode = 0600;
constexpr std::uint32_t kDefaultMode = 0640;  // of a file of which none was announced
constexpr std::size_t kChunkBytes = 1u << 20;
static_assert(kChunkBytes >= kPacketSizeMax);
constexpr Duration kRetry = 5s;
// So long behind a message, another is likely to come.
constexpr Duration kShared = 1s;
// The disk, and the processor, are then a file's for a quarter of the time. After a disk that stalled, sooner again.
constexpr int kRest = 3;
constexpr Duration kRestMax = 20ms;
// A step of less is not worth a second thread.
constexpr std::uint64_t kSmallStep = 256 * 1024;
// A payload that begins a buffer for many: of a large file.
constexpr std::size_t kSpareFrom = 16 * 1024;
// What more is written at a time does not stay in the page cache: the next bytes find memory that is warm instead of
// memory that something else has to leave, which is several times as fast.
constexpr std::uint64_t kUncachedBytes = 1u << 20;

}  // namespace

// What is on its way to the disk, of one session.
struct FileIntake::Step {
  std::uint64_t session = 0;
  std::vector<Unit> units;
  std::vector<std::shared_ptr<IncomingFile>> file_of;  // by operation of the writing job
  std::vector<std::shared_ptr<IncomingFile>> hashed;   // by operation of the hashing job
  unsigned jobs = 0;                                   // under way
  JobResult writing;
  JobResult hashing;
  bool is_void = false;  // its session was forgotten
};

FileIntake::FileIntake(Disk& disk, const FileIntakeOptions& options, Log& log, Owner& owner)
    : disk_(disk), options_(options), log_(log), owner_(owner) {}

FileIntake::~FileIntake() { *alive_ = false; }

// --- recovery ---

void FileIntake::restore(std::uint64_t session, const FileRecord& record, std::uint64_t batch) {
  Session& restored = sessions_[session];
  restored.file = restored.recorded = std::make_shared<IncomingFile>(
      IncomingFile::restored(record, file_part_path(options_.parts, session, record.first), batch));
}

void FileIntake::add_wanted(std::set<std::string>& paths) const {
  for (const auto& [index, session] : sessions_) {
    if (session.file) paths.insert(session.file->part);
    for (const Unit& unit : session.gathered)
      if (unit.file) paths.insert(unit.file->part);
  }
  if (!step_) return;
  for (const Unit& unit : step_->units)
    if (unit.file) paths.insert(unit.file->part);
}

// --- taking ---

bool FileIntake::is_waiting(std::uint64_t session) const {
  if (step_ && step_->session == session) return true;
  const auto it = sessions_.find(session);
  return it != sessions_.end() && !it->second.gathered.empty();
}

FileIntake::Session& FileIntake::gather(Instant now, const SessionEntry& entry, std::uint64_t bytes,
                                        std::uint64_t numbers) {
  Session& session = sessions_[entry.index];
  if (session.gathered.empty()) {
    session.client_id = entry.client_id;
    session.since = now;
    waiting_.push_back(entry.index);
  }
  session.window_size = entry.window_size;
  session.gathered_bytes += bytes;
  session.gathered_numbers += numbers;
  gathered_bytes_ += bytes;
  return session;
}

void FileIntake::take(Instant now, const SessionEntry& entry, const server_event::Received& run) {
  Session& session = gather(now, entry, run.is_file ? run.payload_bytes : run.frames.size() + sizeof(Unit), run.count);
  if (!run.is_file) {
    Unit& unit = session.gathered.emplace_back();
    unit.first = run.first;
    unit.count = run.count;
    unit.after = run.after;
    append(unit.bytes, run.frames);
    return;
  }
  Position position = entry.received;
  for (ByteView rest = run.frames; !rest.empty();) {
    const FrameHeader header = decode_header(rest.data());
    const ByteView payload = rest.subspan(kHeaderSize, header.payload_size);
    advance(position, header, payload, entry.kind);
    take_frame(session, entry.index, header.type, payload, position);
    rest = rest.subspan(kHeaderSize + header.payload_size);
  }
}

// The receiver has refused it: too large, for instance. What came of the file before goes with it.
void FileIntake::take(Instant now, const SessionEntry& entry, const server_event::Skipped& skipped) {
  Session& session = gather(now, entry, sizeof(Unit), 1);
  Unit& unit = session.gathered.emplace_back();
  unit.kind = Unit::Kind::skipped;
  unit.first = skipped.number;
  unit.count = 1;
  unit.after = skipped.after;
  unit.refusal = skipped.refusal;
  if (skipped.refusal.code == ErrorCode::none || !session.file) return;
  session.file->refused = skipped.refusal.code;
  session.file->is_refusal_told = true;
  unit.file = std::exchange(session.file, nullptr);
}

void FileIntake::take_frame(Session& session, std::uint64_t index, FrameType type, ByteView payload,
                            const Position& after) {
  type == FrameType::header ? take_header(session, index, payload, after) : take_bytes(session, type, payload, after);
}

void FileIntake::take_header(Session& session, std::uint64_t index, ByteView payload, const Position& after) {
  auto decoded = decode_message_header(payload);
  MessageHeader& header = std::get<MessageHeader>(decoded);  // the receiver has read it, too
  if (header.kind == MessageKind::none) {
    extend(session, Unit::Kind::file_dropped, after);
    session.file.reset();
  } else if (header.digest) {
    session.file->header.digest = header.digest;
    extend(session, Unit::Kind::file, after);
  } else {
    session.file = std::make_shared<IncomingFile>();
    session.file->first = after.through;
    session.file->header = std::move(header);
    session.file->part = file_part_path(options_.parts, index, after.through);
    extend(session, Unit::Kind::file, after);
  }
}

void FileIntake::take_bytes(Session& session, FrameType type, ByteView payload, const Position& after) {
  IncomingFile& file = *session.file;
  Unit& unit =
      extend(session, type == FrameType::data ? Unit::Kind::file_end : Unit::Kind::file, after, payload.size());
  if (unit.bytes.empty()) unit.offset = file.taken;
  file.taken += payload.size();
  if (file.refused == ErrorCode::none && file.is_too_long()) file.refused = ErrorCode::file_differs;
  if (file.refused == ErrorCode::none) {
    if (unit.bytes.empty() && payload.size() >= kSpareFrom) use_spare(unit.bytes);
    append(unit.bytes, payload);
  }
  if (type == FrameType::data) session.file.reset();
}

void FileIntake::use_spare(Bytes& bytes) {
  if (spares_.empty()) return bytes.reserve(kChunkBytes);
  bytes = std::move(spares_.back());
  spares_.pop_back();
}

void FileIntake::keep_spares(std::vector<Unit>& units) {
  for (Unit& unit : units) {
    if (spares_.size() * kChunkBytes >= 2 * options_.step_bytes) return;  // one is gathered while one is written
    if (unit.bytes.capacity() < kChunkBytes) continue;
    unit.bytes.clear();
    spares_.push_back(std::move(unit.bytes));
  }
}

// The unit that has the next number of the file under way, and room for so many bytes of it.
FileIntake::Unit& FileIntake::extend(Session& session, Unit::Kind kind, const Position& after, std::size_t size) {
  const bool fits = !session.gathered.empty() && session.gathered.back().file == session.file &&
                    session.gathered.back().kind == Unit::Kind::file &&
                    session.gathered.back().bytes.size() + size <= kChunkBytes;
  if (!fits) {
    session.gathered.emplace_back();
    session.gathered.back().first = after.through;
    session.gathered.back().file = session.file;
  }
  Unit& unit = session.gathered.back();
  unit.kind = kind;
  unit.after = after;
  ++unit.count;
  return unit;
}

std::size_t FileIntake::room(const SessionEntry& entry) const {
  const auto it = sessions_.find(entry.index);
  const std::uint64_t own = it == sessions_.end() ? 0 : it->second.gathered_bytes;
  if (own >= options_.step_bytes || gathered_bytes_ >= options_.gathered_bytes_max) return 0;
  const bool is_scarce = gathered_bytes_ >= options_.gathered_bytes_max / 2;
  if (is_scarce && gathered_of(entry.client_id) >= options_.gathered_bytes_max / 4) return 0;
  return options_.step_bytes - own;
}

std::uint64_t FileIntake::gathered_of(const std::string& client_id) const {
  std::uint64_t sum = 0;
  for (const std::uint64_t index : waiting_)
    if (const Session& session = sessions_.at(index); session.client_id == client_id) sum += session.gathered_bytes;
  return sum;
}

void FileIntake::set_memory(const MemoryShares& shares) {
  options_.gathered_bytes_max = shares.files();
  options_.step_bytes = shares.step();
  options_.shared_step_bytes = std::min(options_.shared_step_bytes, options_.step_bytes);
}

const Error* FileIntake::trouble(std::uint64_t session) const {
  const auto it = sessions_.find(session);
  return it != sessions_.end() && it->second.trouble ? &*it->second.trouble : nullptr;
}

void FileIntake::forget(std::uint64_t session, std::uint64_t batch) {
  const auto it = sessions_.find(session);
  if (it == sessions_.end()) return;
  // An operator may forget a session whose bytes still wait for the disk.
  if (step_ && step_->session == session) step_->is_void = true;
  std::set<std::string> parts;
  for (const Unit& unit : it->second.gathered)
    if (unit.file) parts.insert(unit.file->part);
  for (const auto& file : {it->second.file, it->second.recorded})
    if (file) parts.insert(file->part);
  for (const std::string& part : parts) doomed_.emplace_back(batch, part);
  std::erase(waiting_, session);
  gathered_bytes_ -= it->second.gathered_bytes;
  sessions_.erase(it);
}

// --- steps ---

void FileIntake::flush(Instant now) {
  now_ = now;
  if (std::exchange(has_step_ended_, false) && is_shared(now))
    rest_until_ = now + std::min(kRest * (now - begun_), kRestMax);
  if (rest_until_ > now && !is_settling_) return;
  while (!step_) {
    const auto it =
        std::find_if(waiting_.begin(), waiting_.end(), [&](auto index) { return is_due(now, sessions_.at(index)); });
    if (it == waiting_.end()) return;
    const std::uint64_t index = *it;
    waiting_.erase(it);
    begin_step(index);
  }
}

// What a message waits for is a step. So steps are small then, and between two of them is time for messages.
bool FileIntake::is_shared(Instant now) const { return messages_at_ && now - *messages_at_ < kShared; }

std::uint64_t FileIntake::step_bytes(Instant now) const {
  return is_shared(now) ? options_.shared_step_bytes : options_.step_bytes;
}

// A step waits for more as long as more is likely to come at once: within a file, and while the sender's window allows
// it.
bool FileIntake::is_due(Instant now, const Session& session) const {
  if (session.blocked_until > now) return false;
  const Unit& last = session.gathered.back();
  const bool is_within = last.kind == Unit::Kind::file && last.file->is_made;
  return !is_within || is_settling_ || session.gathered_bytes >= step_bytes(now) ||
         now - session.since >= options_.step_time || session.gathered_numbers * 2 >= session.window_size ||
         gathered_bytes_ >= options_.gathered_bytes_max;
}

Instant FileIntake::next_deadline() const {
  Instant next = kNever;
  if (step_) return next;
  if (rest_until_ > now_ && !waiting_.empty() && !is_settling_) return rest_until_;
  for (const std::uint64_t index : waiting_) {
    const Session& session = sessions_.at(index);
    next = std::min(next, std::max(session.since + options_.step_time, session.blocked_until));
  }
  return next;
}

// Within a file a step ends with a piece, where there is one: what is written later must not touch a page that was
// synced, or that would be written twice.
std::size_t FileIntake::units_of_step(const Session& session) const {
  // What went through the digest counts as written when its step is done: a smaller one would count too much.
  if (session.failed_units > 0) return session.failed_units;
  const std::vector<Unit>& units = session.gathered;
  std::size_t count = 1;
  for (std::uint64_t bytes = units[0].bytes.size(); count < units.size(); ++count) {
    bytes += units[count].bytes.size();
    if (bytes > step_bytes(now_)) break;
  }
  if (units[count - 1].kind != Unit::Kind::file) return count;
  for (std::size_t i = count; i > 0; --i) {
    const Unit& unit = units[i - 1];
    const std::uint64_t end = unit.offset + unit.bytes.size();
    if (unit.kind == Unit::Kind::file && !unit.bytes.empty() && end % kPieceSize == 0) return i;
  }
  return count;
}

void FileIntake::begin_step(std::uint64_t index) {
  Session& session = sessions_.at(index);
  begun_ = now_;
  step_ = std::make_unique<Step>();
  step_->session = index;
  const auto end = session.gathered.begin() + static_cast<std::ptrdiff_t>(units_of_step(session));
  step_->units.assign(std::make_move_iterator(session.gathered.begin()), std::make_move_iterator(end));
  session.gathered.erase(session.gathered.begin(), end);
  session.failed_units = 0;
  if (!session.gathered.empty()) {
    waiting_.push_back(index);
    session.since = now_;
  }
  count_gathered(session);
  std::uint64_t bytes = 0;
  for (const Unit& unit : step_->units) bytes += unit.bytes.size();
  step_held_bytes_ = bytes;
  Job hashing = hashing_job(*step_);
  Job writing = writing_job(*step_);
  if (bytes > kSmallStep && !hashing.empty()) {
    step_->jobs = 2;
    submit(std::move(hashing), &Step::hashing);
    submit(std::move(writing), &Step::writing);
    return;
  }
  step_->jobs = 1;
  step_->hashed.insert(step_->hashed.end(), step_->file_of.begin(), step_->file_of.end());
  std::move(writing.begin(), writing.end(), std::back_inserter(hashing));
  if (hashing.empty()) return finish_step();  // nothing for the disk
  submit(std::move(hashing), &Step::hashing);
}

// The bytes of each file behind what went through its digest before. Where that ended within a piece before a restart,
// the piece is read again; and the last byte in any case: the part may have lost what was acknowledged of it.
Job FileIntake::hashing_job(Step& step) {
  Job job;
  const auto add = [&](const Unit& unit, FileOp op) {
    job.push_back(std::move(op));
    step.hashed.push_back(unit.file);
  };
  std::map<const IncomingFile*, std::uint64_t> hashed;
  for (const Unit& unit : step.units) {
    if (!unit.file || unit.file->refused != ErrorCode::none) continue;
    IncomingFile& file = *unit.file;
    const auto [at, is_first] = hashed.try_emplace(&file, file.digest.size());
    if (is_first && !file.is_seen) {
      const std::uint64_t from = std::min(at->second, file.written - 1);
      file.piece.resize(file.written - from);
      add(unit, file_op::open_to_read(file.reading, file.part));
      add(unit, file_op::read(file.reading, from, file.piece));
      add(unit, file_op::close(file.reading));
      if (at->second < file.written) add(unit, file_op::hash(file.digest, file.piece));
      at->second = std::max(at->second, file.written);
    }
    const std::uint64_t end = unit.offset + unit.bytes.size();
    if (unit.bytes.empty() || end <= at->second) continue;
    add(unit, file_op::hash(file.digest, ByteView(unit.bytes).subspan(at->second - unit.offset)));
    at->second = end;
  }
  return job;
}

// STORE §7. Of each file: the part, its bytes, what ends it, and the sync that counts them; then the directory.
Job FileIntake::writing_job(Step& step) const {
  Job job;
  bool makes_some = false;
  const auto add = [&](const std::shared_ptr<IncomingFile>& file, FileOp op) {
    job.push_back(std::move(op));
    step.file_of.push_back(file);
  };
  for (std::size_t i = 0; i < step.units.size();) {
    const std::shared_ptr<IncomingFile> file = step.units[i].file;
    std::size_t end = i + 1;
    while (end < step.units.size() && step.units[end].file == file) ++end;
    const std::size_t begin = std::exchange(i, end);
    const Unit& last = step.units[end - 1];
    if (!file || file->refused != ErrorCode::none || last.kind == Unit::Kind::file_dropped) continue;
    if (file->is_made) {
      add(file, file_op::open(file->writing, file->part));
    } else {
      add(file, file_op::open_or_create(file->writing, file->part, kPartMode));
      makes_some = true;
      add(file, file_op::share(file->writing, options_.inbox));
      add(file, file_op::reserve(file->writing, file->header.file.size.value_or(0), keep_free_));
    }
    std::uint64_t bytes = 0;
    for (std::size_t at = begin; at < end; ++at) {
      const Unit& unit = step.units[at];
      if (!unit.bytes.empty()) add(file, file_op::write(file->writing, unit.offset, unit.bytes));
      bytes += unit.bytes.size();
    }
    if (last.kind == Unit::Kind::file_end) {
      const FileDescription& described = file->header.file;
      add(file, file_op::finish(file->writing, file->taken, described.mode.value_or(kDefaultMode), described.mtime));
      add(file, file_op::sync_all(file->writing));
    } else {
      add(file, file_op::sync_data(file->writing));
    }
    if (bytes >= kUncachedBytes) add(file, file_op::drop_cached(file->writing, file->written, bytes));
    add(file, file_op::close(file->writing));
  }
  if (makes_some) add(nullptr, file_op::sync_directory(options_.parts));
  return job;
}

void FileIntake::submit(Job job, JobResult Step::*result) {
  disk_.submit(std::move(job), [this, alive = alive_, result](JobResult done) {
    if (!*alive) return;
    *step_.*result = done;
    if (--step_->jobs > 0) return;
    ++steps_done_;
    on_jobs_done();
    has_step_ended_ = true;
    if (!is_shared(now_)) flush(now_);
    owner_.on_step();
  });
}

void FileIntake::on_jobs_done() {
  const Step& step = *step_;
  if (step.is_void) return drop_step();
  // One job did both: what is behind the hashing is the writing.
  const JobResult* failed = !step.hashing.ok() ? &step.hashing : !step.writing.ok() ? &step.writing : nullptr;
  if (failed == nullptr) return finish_step();
  const auto& files = failed == &step.hashing ? step.hashed : step.file_of;
  on_step_failed(*failed, files[failed->operation]);
}

std::unique_ptr<FileIntake::Step> FileIntake::end_step() {
  step_held_bytes_ = 0;
  return std::move(step_);
}

// What it made goes, too: nobody knows of it.
void FileIntake::drop_step() {
  const std::unique_ptr<Step> step = end_step();
  Job job;
  for (const Unit& unit : step->units) {
    if (!unit.file) continue;
    close_left_open(unit.file, unit.file->reading);
    close_left_open(unit.file, unit.file->writing);
    job.push_back(file_op::remove(unit.file->part));
  }
  if (!job.empty()) disk_.submit(std::move(job), [](JobResult) {});
}

void FileIntake::on_step_failed(const JobResult& result, const std::shared_ptr<IncomingFile>& file) {
  // By name, or where it was read again.
  const bool is_gone =
      file && file->is_made && (result.error == ENOENT || (result.error == EIO && file->reading.is_open()));
  if (file) {
    close_left_open(file, file->reading);
    close_left_open(file, file->writing);
  }
  const bool is_full = result.error == ENOSPC || result.error == EDQUOT || result.error == EFBIG;
  if (is_gone) {
    log_.error(LogEvent::journal_damaged, file->part + ": " + std::strerror(result.error) +
                                              "; what was acknowledged of this file is gone, it is refused");
    file->refused = ErrorCode::file_differs;
    return put_back(0s);
  }
  if (file && is_full && file->written == 0) {
    file->refused = ErrorCode::no_space_for_file;
    return put_back(0s);
  }
  const std::uint64_t index = step_->session;
  Session& session = sessions_.at(index);
  const ErrorCode code = is_full ? ErrorCode::disk_full : ErrorCode::disk_failed;
  if (!session.trouble || session.trouble->code != code)
    log_.error(is_full ? LogEvent::disk_full : LogEvent::disk_failed,
               (file ? file->part : options_.parts) + ": " + std::strerror(result.error) + "; its sender waits");
  session.trouble = Error::retry_after(code, kRetry);
  put_back(kRetry);
  owner_.on_trouble(index, *sessions_.at(index).trouble);
}

// The step is to be made again, with what came meanwhile behind it.
void FileIntake::put_back(Duration wait) {
  const std::unique_ptr<Step> step = end_step();
  Session& session = sessions_.at(step->session);
  if (session.gathered.empty()) waiting_.push_back(step->session);
  session.failed_units = step->units.size();
  session.gathered.insert(session.gathered.begin(), std::make_move_iterator(step->units.begin()),
                          std::make_move_iterator(step->units.end()));
  count_gathered(session);
  session.since = Instant{};
  session.blocked_until = now_ + wait;
}

void FileIntake::count_gathered(Session& session) {
  gathered_bytes_ -= session.gathered_bytes;
  session.gathered_bytes = session.gathered_numbers = 0;
  for (const Unit& unit : session.gathered) {
    session.gathered_bytes += unit.bytes.size() + (unit.file ? 0 : sizeof(Unit));
    session.gathered_numbers += unit.count;
  }
  gathered_bytes_ += session.gathered_bytes;
}

void FileIntake::close_left_open(const std::shared_ptr<IncomingFile>& file, File& handle) {
  if (!handle.is_open()) return;
  const auto left = std::make_shared<File>(std::exchange(handle, {}));
  disk_.submit({file_op::close(*left)}, [file, left](JobResult) {});
}

// --- what becomes of it ---

void FileIntake::finish_step() {
  const std::unique_ptr<Step> step = end_step();
  Session& session = sessions_.at(step->session);
  if (session.trouble) log_.warn(LogEvent::disk_works, options_.parts + " can be written again");
  session.trouble.reset();
  std::vector<Unit>& units = step->units;
  for (std::size_t i = 0; i < units.size();) {
    std::size_t end = i + 1;
    while (end < units.size() && units[i].file && units[end].file == units[i].file) ++end;
    const std::size_t begin = std::exchange(i, end);
    Ready ready{units[begin].first, 0, units[end - 1].after, Ready::Frames{}};
    for (std::size_t unit = begin; unit < end; ++unit) ready.count += units[unit].count;
    hand_over(step->session, std::move(ready), units[end - 1]);
  }
  keep_spares(units);
  if (session.gathered.empty() && !session.file && !session.recorded) sessions_.erase(step->session);
}

// `last`: the unit that ends these numbers.
void FileIntake::hand_over(std::uint64_t session, Ready ready, Unit& last) {
  const std::shared_ptr<IncomingFile> file = last.file;
  if (!file) {
    if (last.kind == Unit::Kind::skipped)
      ready.what = SkippedRecord{last.after, last.refusal};
    else
      ready.what = Ready::Frames{std::move(last.bytes)};
    owner_.append(session, ready);
    return;
  }
  const bool is_end = last.kind == Unit::Kind::file_end;
  if (file->refused == ErrorCode::none && is_end && !file->agrees()) file->refused = ErrorCode::file_differs;
  if (file->refused != ErrorCode::none) return hand_over_refused(session, std::move(ready), last);
  file->is_made = file->is_made || last.kind != Unit::Kind::file_dropped;
  file->is_seen = true;
  file->written = file->digest.size();
  file->chain = file->digest.chain();
  const bool is_dropped = last.kind == Unit::Kind::file_dropped;
  const auto state = is_end       ? FileRecord::State::whole
                     : is_dropped ? FileRecord::State::dropped
                                  : FileRecord::State::goes_on;
  ready.what = file->to_record(state, ready.after);
  file->recorded_in = owner_.append(session, ready);
  sessions_.at(session).recorded = state == FileRecord::State::goes_on ? file : nullptr;
  if (is_dropped) doomed_.emplace_back(file->recorded_in, file->part);
}

// PROTOCOL §4.6. The first of its numbers that come here says why; of all others only the bytes are gone.
void FileIntake::hand_over_refused(std::uint64_t session, Ready ready, const Unit& last) {
  IncomingFile& file = *last.file;
  if (ready.after.message.is_begun) ready.after.message.is_refused = true;
  SkippedRecord record{ready.after, last.refusal};
  const bool is_first = !std::exchange(file.is_refusal_told, true);
  if (is_first) record.refusal = {file.refused, file.first};
  ready.what = record;
  const std::uint64_t batch = owner_.append(session, ready);
  sessions_.at(session).recorded.reset();
  if (is_first || last.refusal.code != ErrorCode::none) doomed_.emplace_back(batch, file.part);
}

bool FileIntake::carry_forward(std::uint64_t before_batch, const std::function<bool()>& has_space,
                               const std::function<Position(std::uint64_t)>& position_of) {
  for (auto& [index, session] : sessions_) {
    if (!session.recorded || session.recorded->recorded_in >= before_batch) continue;
    if (!has_space()) return false;
    Ready ready{{}, 0, position_of(index), Ready::Frames{}};
    ready.what = session.recorded->to_record(FileRecord::State::goes_on, ready.after);
    session.recorded->recorded_in = owner_.append(index, ready);
  }
  return true;
}

void FileIntake::on_durable(std::uint64_t batch) {
  Job job;
  for (; !doomed_.empty() && doomed_.front().first <= batch; doomed_.pop_front())
    job.push_back(file_op::remove(doomed_.front().second));
  if (!job.empty()) disk_.submit(std::move(job), [](JobResult) {});
}

}  // namespace cproto
