#include "daemon/store.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "config/wording.h"
#include "daemon/replay.h"
#include "daemon/session_name.h"
#include "daemon/store_format.h"
#include "proto/assert.h"

namespace cproto {

namespace {

constexpr std::uint32_t kStoreMode = 0700;
constexpr std::uint32_t kFileMode = 0600;
constexpr Duration kSealAfter = 1s;   // of idleness
constexpr Duration kRetryAfter = 5s;  // a failed disk
constexpr Duration kSayAgain = 60s;
// Senders that are not read for so long ought to be known of.
constexpr Duration kHeldLong = 2s;
// How often what is old is looked for; and clients that come back after a restart do so sooner.
constexpr Duration kLetGoEvery = 1h;
// A client that is there without sending is recorded so often.
constexpr Duration kRecordThere = 24h;
constexpr std::size_t kAssemblyBytes = 1u << 20;

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Store::Store(Disk& disk, const StoreOptions& options, const World& world, Log& log)
    : disk_(disk),
      options_(options),
      world_(world),
      log_(log),
      partial_frames_(MemoryShares(options.memory).frames()) {}

Store::~Store() {
  space_.reset();
  intake_.reset();
  delivery_.reset();
  journal_.reset();
}

std::variant<std::unique_ptr<Store>, StoreProblem> Store::open(Disk& disk, const StoreOptions& options,
                                                               const World& world, Log& log) {
  std::unique_ptr<Store> store(new Store(disk, options, world, log));
  if (auto problem = store->open_identity()) return std::move(*problem);
  if (auto problem = store->recover()) return std::move(*problem);
  return store;
}

// --- opening ---

// STORE §1. The file "store" says which store this is; it appears whole or not at all.
std::optional<StoreProblem> Store::open_identity() {
  File file;
  Bytes header(kFileHeaderSize);
  Job read{file_op::make_directory(options_.directory, kStoreMode), file_op::open(file, path("store")),
           file_op::read(file, 0, header), file_op::close(file)};
  JobResult result = disk_.run(read);
  if (result.ok()) {
    const auto decoded = decode_file_header(FileFormat::store, header);
    if (!decoded) return StoreProblem{0, false, path("store") + " is damaged"};
    if (decoded->format > kStoreFormat)
      return StoreProblem{0, true,
                          "the store was written by cprotod " + decoded->program + "; this version cannot read it"};
    id_ = decoded->store;
    secret_ = decoded->number;
    sync_parent();
    return std::nullopt;
  }
  if (result.error != ENOENT || result.operation != 1)
    return StoreProblem{result.error, false, options_.directory + ": " + std::strerror(result.error)};
  // Another store could not read it: every batch says whose it is.
  std::vector<std::string> names;
  Job list{file_op::list(path("journal"), names)};
  if (disk_.run(list).ok() && std::any_of(names.begin(), names.end(), is_segment_name))
    return StoreProblem{
        0, false,
        path("store") + " is missing, but " + path("journal") +
            " has segments. Put it back from a backup, or move the journal away and lose what is in it"};
  id_ = world_.draw_id();
  secret_ = load_be<std::uint64_t>(world_.draw_id().data());
  header = encode_file_header(FileFormat::store, id_, secret_, 0);
  const std::string temporary = path("store.new");
  Job write{file_op::remove(temporary),
            file_op::create(file, temporary, kFileMode),
            file_op::write(file, 0, header),
            file_op::sync_data(file),
            file_op::close(file),
            file_op::rename(temporary, path("store")),
            file_op::sync_directory(options_.directory)};
  result = disk_.run(write);
  if (!result.ok()) return StoreProblem{result.error, false, options_.directory + ": " + std::strerror(result.error)};
  sync_parent();
  log_.warn(LogEvent::store_created, "created a new store in " + options_.directory + ", id " + to_hex(id_));
  return std::nullopt;
}

// Best effort: the folder above may belong to somebody else. At every start: the one that made ours may have died
// before.
void Store::sync_parent() {
  Job sync{file_op::sync_directory(parent_of(options_.directory))};
  disk_.run(sync);
}

// STORE §5.
std::optional<StoreProblem> Store::recover() {
  RegistryOptions registry = options_.registry;
  registry.store = id_;
  registry_ = std::make_unique<SessionRegistry>(registry, world_.draw_id);
  FileIntakeOptions intake;
  intake.parts = file_parts();
  intake.inbox = inbox();
  intake_ = std::make_unique<FileIntake>(disk_, intake, log_, *this);
  const MemoryShares memory(options_.memory);
  intake_->set_memory(memory);
  delivery_ = make_delivery();
  const JournalOptions journal{path("journal"), id_, secret_, options_.segment_size, memory.batch()};
  auto found = find_chain(disk_, journal, options_.on_progress);
  if (auto* problem = std::get_if<StoreProblem>(&found)) return std::move(*problem);
  Chain& chain = std::get<Chain>(found);
  for (const std::string& line : chain.damage) log_.error(LogEvent::journal_damaged, "journal: " + line);
  if (chain.torn_batches > 0)
    log_.info(LogEvent::recovered, "journal: the last batch was not written whole; nobody was told of it");
  Replay replay(disk_, *registry_, *intake_, *delivery_, log_, options_.on_progress);
  replay.run(chain);
  opened_at_ = world_.now();
  ran_before_ = replay.running_time();
  let_go_at_ = opened_at_ + kLetGoEvery;
  delivery_->visit_files([this](std::uint64_t session, Seq first) {
    if (SessionEntry* entry = registry_->find(session)) entry->note_undelivered(first);
  });
  if (std::string trouble = delivery_->open_again(); !trouble.empty()) return StoreProblem{EACCES, false, trouble};
  // The folders made on the way have to be there before anything in them counts.
  Job sync{file_op::sync_directory(options_.directory), file_op::sync_directory(parent_of(inbox()))};
  if (const JobResult result = disk_.run(sync); !result.ok())
    return StoreProblem{result.error, false, sync[result.operation].path + ": " + std::strerror(result.error)};
  const std::size_t batches = chain.batches.size();
  auto position = reopen(disk_, journal, std::move(chain));
  if (auto* problem = std::get_if<StoreProblem>(&position)) return std::move(*problem);
  journal_ = std::make_unique<Journal>(disk_, journal, std::move(std::get<JournalPosition>(position)), *this);
  last_batch_ = world_.now();
  delivery_->start(world_.now(), *journal_, wanted_parts());
  watch_space();
  if (batches > 0)
    log_.info(LogEvent::recovered, "recovered " + std::to_string(registry_->size()) + " sessions from " +
                                       std::to_string(batches) + " batches");
  return std::nullopt;
}

void Store::watch_space() {
  SpaceOptions space;
  space.store = options_.directory;
  space.inbox = inbox();
  space.limits = options_.space;
  space.now = world_.now;
  space.time_of_day = world_.time_of_day;
  space.on_listed = [this] {
    std::set<std::string> clients;
    space_->census().visit([&](const std::string& client) { clients.insert(client); });
    registry_->set_folders(std::move(clients));
  };
  space.undelivered = [this] { return delivery_->backlog(world_.now()).bytes + journal_->held_bytes(); };
  space.on_below = [this] { delivery_->close_logs(world_.now()); };
  space_ = std::make_unique<SpaceWatch>(disk_, space, log_);
  space_->look_now();
}

std::variant<Admission, Error> Store::admit(const Syn& syn, SessionHolder& holder) {
  auto admitted = registry_->admit(syn, holder);
  const Error* error = std::get_if<Error>(&admitted);
  if (error != nullptr && error->code == ErrorCode::too_many_clients) space_->list_soon();  // some may be gone
  return admitted;
}

const Error* Store::no_room(const std::string& client) {
  if (const Error* trouble = space_->trouble(client)) return trouble;
  const std::string blocked = delivery_->over_share(client);
  if (blocked.empty()) return nullptr;
  no_room_ = Error::retry_after(ErrorCode::inbox_blocked, kRetryAfter);
  no_room_.sentence = "the inbox is blocked: " + blocked;
  return &no_room_;
}

// Its client was there until now, and that is to be known after a restart, too.
void Store::release(SessionEntry& entry, const SessionHolder& holder) {
  const std::uint64_t index = entry.index;
  if (entry.holder == &holder) entry.last_there = running_time();
  registry_->release(entry, holder);
  if (SessionEntry* left = registry_->find(index)) note_there(*left);
}

void Store::set_memory(std::uint64_t bytes) {
  options_.memory = bytes;
  const MemoryShares memory(bytes);
  journal_->set_batch_bytes(memory.batch());
  intake_->set_memory(memory);
  delivery_->set_memory(memory);
  partial_frames_.set_max(memory.frames());
}

std::uint64_t Store::held_bytes() const {
  return journal_->held_bytes() + intake_->held_bytes() + delivery_->held_bytes() + partial_frames_.bytes();
}

void Store::set_limits(const SpaceLimits& limits) { space_->set_limits(limits); }

// A part is renamed into the inbox, and a second name links to it: both must be on the inbox's file system.
std::string Store::file_parts() const { return options_.inbox.empty() ? path("partial") : inbox() + "/.cproto"; }

std::string Store::inbox() const { return options_.inbox.empty() ? path("inbox") : options_.inbox; }

std::unique_ptr<Delivery> Store::make_delivery() {
  DeliveryOptions delivery;
  delivery.inbox = inbox();
  // A second name must be on the inbox's file system.
  delivery.links = options_.inbox.empty() ? path("open") : inbox() + "/.cproto";
  delivery.parts = path("partial");
  delivery.file_parts = file_parts();
  delivery.existing_file = options_.existing_file;
  delivery.client_share = options_.segment_size;
  delivery.assembly_bytes = std::min<std::uint64_t>(kAssemblyBytes, options_.segment_size / 8);
  auto made = std::make_unique<Delivery>(disk_, delivery, *registry_, log_);
  made->set_memory(MemoryShares(options_.memory));
  made->set_running_time([this] { return running_time(); });
  made->set_on_placed([this](std::uint64_t session, Seq first) { on_placed(session, first); });
  return made;
}

// Of files: whatever is not whole, or not in the inbox yet.
std::set<std::string> Store::wanted_parts() const {
  std::set<std::string> wanted;
  intake_->add_wanted(wanted);
  for (const auto& [index, entry] : registry_->all())
    for (const Seq first : entry->undelivered) wanted.insert(file_part_path(file_parts(), index, first));
  return wanted;
}

void Store::set_existing_file(ExistingFile existing_file) {
  options_.existing_file = existing_file;
  delivery_->set_existing_file(existing_file);
}

// --- appending ---

void Store::touch(SessionEntry& entry) {
  if (entry.record_batch == 0) record_session(entry);
  if (entry.is_touched) return;
  entry.is_touched = true;
  touched_.push_back(&entry);
}

// STORE §4.3. Twice, as it is the only one: a damaged record must not take its neighbours with it.
void Store::record_session(SessionEntry& entry) {
  if (entry.holder != nullptr) entry.last_there = running_time();
  entry.recorded_there = entry.last_there;
  Bytes body;
  encode_session(to_record(entry), body);
  const Record record{.type = RecordType::session, .session = entry.index, .first = {}, .count = 0, .body = body};
  journal_->append(record);
  journal_->append(record);
  entry.record_batch = journal_->gathering_number();
}

void Store::append(SessionEntry& entry, const server_event::Received& run) {
  CPROTO_ASSERT(run.first == entry.received.through.next());
  if (run.is_file || intake_->is_waiting(entry.index))
    intake_->take(world_.now(), entry, run);
  else
    append_frames(entry, run.first, run.count, run.frames, run.after);
  entry.received = run.after;
  space_->note_received(entry.client_id, run.payload_bytes);
}

void Store::append(SessionEntry& entry, const server_event::Skipped& skipped) {
  CPROTO_ASSERT(skipped.number == entry.received.through.next());
  if (intake_->has_file(entry.index) || intake_->is_waiting(entry.index))
    intake_->take(world_.now(), entry, skipped);
  else
    append_skipped(entry, skipped.number, 1, {skipped.after, skipped.refusal});
  entry.received = skipped.after;
}

// What waited behind the bytes of a file, or was them. Its turn has come.
std::uint64_t Store::append(std::uint64_t session, const FileIntake::Ready& ready) {
  SessionEntry& entry = *registry_->find(session);
  if (const auto* frames = std::get_if<FileIntake::Ready::Frames>(&ready.what)) {
    append_frames(entry, ready.first, ready.count, frames->bytes, ready.after);
  } else if (const auto* skipped = std::get_if<SkippedRecord>(&ready.what)) {
    const bool is_new = skipped->refusal.code != ErrorCode::none;
    append_skipped(entry, ready.first, ready.count, *skipped);
    if (is_new) tell_refusal(entry, skipped->refusal);
  } else {
    append_file(entry, ready.first, ready.count, std::get<FileRecord>(ready.what));
  }
  return journal_->gathering_number();
}

void Store::tell_refusal(SessionEntry& entry, const Refusal& refusal) {
  if (entry.holder != nullptr) return entry.holder->on_message_refused(refusal);
  ++counters_.refused[refusal.code];
  entry.last_error = refusal.code;
  const std::string session = short_name(entry.id);
  const std::string error = error_name(refusal.code);
  log_.warn(LogEvent::message_refused,
            entry.client_id + ": a message was refused (" + error + "); it hears of it when it comes back",
            {.client = entry.client_id, .session = session, .channel = entry.channel, .error = error});
}

void Store::append_frames(SessionEntry& entry, Seq first, std::uint32_t count, ByteView frames, const Position& after) {
  CPROTO_ASSERT(first == entry.appended.through.next());
  touch(entry);
  intake_->note_messages(world_.now());
  journal_->append(
      {.type = RecordType::frames, .session = entry.index, .first = first, .count = count, .body = frames});
  entry.appended = after;
}

// STORE §4.8. One that is whole is written twice: without it nobody would know what to do with the bytes.
void Store::append_file(SessionEntry& entry, Seq first, std::uint32_t count, const FileRecord& file) {
  CPROTO_ASSERT(count == 0 || first == entry.appended.through.next());
  touch(entry);
  Bytes body;
  encode_file(file, body);
  const bool is_whole = file.state == FileRecord::State::whole;
  for (int copy = 0; copy < (is_whole ? 2 : 1); ++copy)
    journal_->append({.type = RecordType::file, .session = entry.index, .first = first, .count = count, .body = body});
  entry.appended = file.after;
  if (is_whole) entry.note_undelivered(file.first);
}

void Store::append_skipped(SessionEntry& entry, Seq first, std::uint32_t count, const SkippedRecord& skipped) {
  CPROTO_ASSERT(first == entry.appended.through.next());
  touch(entry);
  Bytes body;
  encode_skipped(skipped, body);
  journal_->append({.type = RecordType::skipped, .session = entry.index, .first = first, .count = count, .body = body});
  entry.appended = skipped.after;
  if (skipped.refusal.code == ErrorCode::none) return;
  entry.refusals.push_back({skipped.refusal, RecordedRefusal::Stage::gathered});
}

void Store::forget(SessionEntry& entry) {
  registry_->forget(entry);
  entry.holder = nullptr;
  intake_->forget(entry.index, journal_->gathering_number());
  if (entry.record_batch == 0) return registry_->purge(entry.index);
  record_end(entry);
}

void Store::record_end(const SessionEntry& entry) {
  journal_->append({.type = RecordType::forget, .session = entry.index, .first = {}, .count = 0, .body = {}});
}

// --- what the journal says ---

void Store::on_batch_started() {
  for (SessionEntry* entry : touched_) {
    entry->is_touched = false;
    entry->flying = entry->appended;
    entry->move_refusals(RecordedRefusal::Stage::gathered, RecordedRefusal::Stage::flying);
    if (!std::exchange(entry->is_flying, true)) flying_.push_back(entry);
  }
  touched_.clear();
}

void Store::on_durable(const BatchPlace& batch, Duration sync_time) {
  counters_.sync_seconds.observe(std::chrono::duration<double>(sync_time).count());
  counters_.batch_bytes.observe(batch.size);
  last_batch_ = world_.now();
  is_sealed_ = batch.used == 0;
  if (trouble_) log_.warn(LogEvent::disk_works, "the disk works again; senders go on");
  trouble_.reset();
  failures_ = 0;
  const std::vector<SessionEntry*> durable = std::exchange(flying_, {});
  for (SessionEntry* entry : durable) {
    entry->is_flying = false;
    entry->durable = entry->flying;
    entry->move_refusals(RecordedRefusal::Stage::flying, RecordedRefusal::Stage::to_tell);
    if (entry->holder == nullptr) entry->pass_over_refusals();
  }
  tell(durable, [](SessionHolder& holder) { holder.on_committed(); });
  intake_->on_durable(batch.number);
  journal_->flush();  // the disk does not wait for what delivery does here
  delivery_->on_durable(world_.now(), batch);
  if (on_room_ && room() > 0) on_room_();
}

// A holder may let its session go when it hears of it: each is looked up again.
void Store::tell(const std::vector<SessionEntry*>& entries, const std::function<void(SessionHolder&)>& what) {
  std::vector<std::uint64_t> indices;
  indices.reserve(entries.size());
  for (const SessionEntry* entry : entries) indices.push_back(entry->index);
  for (const std::uint64_t index : indices) {
    SessionEntry* entry = registry_->find(index);
    if (entry != nullptr && entry->holder != nullptr) what(*entry->holder);
  }
}

void Store::on_failed(int error, std::uint32_t segment) {
  const bool is_full = error == ENOSPC || error == EDQUOT;
  const ErrorCode code = is_full ? ErrorCode::disk_full : ErrorCode::disk_failed;
  const Instant now = world_.now();
  ++failures_;
  ++counters_.failures;
  if (!trouble_ || trouble_->code != code || now - trouble_said_at_ >= kSayAgain) {
    log_.error(is_full ? LogEvent::disk_full : LogEvent::disk_failed,
               std::string(is_full ? "disk full" : "fdatasync failed") + " (" + std::strerror(error) + ") on segment " +
                   std::to_string(segment) + ": nothing in it beyond batch " +
                   std::to_string(journal_->last_durable()) + " was acknowledged; senders wait. " +
                   (is_full ? "Look at df" : "Look at dmesg") +
                   (failures_ > 1 ? " (" + std::to_string(failures_) + " times so far)" : ""));
    trouble_said_at_ = now;
  }
  trouble_ = Error::retry_after(code, kRetryAfter);
  retry_at_ = now + kRetryAfter;
  std::vector<SessionEntry*> waiting;
  for (const auto& [index, entry] : registry_->all())
    if (entry->holder != nullptr && entry->received.through != entry->durable.through) waiting.push_back(entry.get());
  tell(waiting, [this](SessionHolder& holder) { holder.on_trouble(*trouble_); });
}

bool Store::carry_forward(std::uint64_t before_batch) {
  for (const auto& [index, entry] : registry_->all()) {
    if (entry->record_batch == 0 || entry->record_batch >= before_batch) continue;
    if (!journal_->has_space(kBlockSize)) return false;
    record_session(*entry);
    // Delivery has not passed its end yet: what is on the way to the inbox needs to be known, and the end after it.
    if (entry->is_forgotten) record_end(*entry);
  }
  const auto has_space = [this] { return journal_->has_space(kBlockSize); };
  const auto position_of = [this](std::uint64_t session) { return registry_->find(session)->appended; };
  return intake_->carry_forward(before_batch, has_space, position_of) && delivery_->carry_forward(before_batch);
}

// --- what the intake says ---

void Store::flush() {
  intake_->set_keep_free(space_->keep_free());
  intake_->flush(world_.now());
  journal_->flush();
  if (std::exchange(is_hurried_, false)) delivery_->hurry(world_.now());
  watch_room();
}

// Not to read is how memory is kept; for moments it happens all the time.
void Store::watch_room() {
  if (trouble_ || room() > 0) return held_since_.reset();
  if (held_since_) return;
  held_since_ = world_.now();
  was_held_said_ = false;
  ++counters_.holds;
}

void Store::note_overload(const std::string& peer) {
  if (const auto more = overload_lines_.note(world_.now()))
    log_.warn(LogEvent::overloaded,
              peer + " is sent away: unfinished frames take " + human_bytes(partial_frames_.bytes()) +
                  ", and its has been unfinished for longest" + *more,
              {.peer = peer, .error = error_name(ErrorCode::overloaded)});
}

void Store::say_held() {
  was_held_said_ = true;
  const Instant now = world_.now();
  if (const auto more = held_lines_.note(now))
    log_.warn(LogEvent::senders_held, "senders are not read for " + human_time(now - *held_since_) + ": " +
                                          human_bytes(held_bytes()) + " received are in memory, and " +
                                          human_bytes(delivery_->backlog(now).bytes) + " are to be delivered" + *more);
}

void Store::on_trouble(std::uint64_t session, const Error& trouble) {
  ++counters_.failures;
  if (SessionEntry* entry = registry_->find(session); entry->holder != nullptr) entry->holder->on_trouble(trouble);
}

void Store::on_step() {
  journal_->flush();
  if (on_room_ && room() > 0) on_room_();
}

// A file is where people look for it; its session may be waiting to hear that all are.
void Store::on_placed(std::uint64_t session, Seq first) {
  SessionEntry* entry = registry_->find(session);
  if (entry == nullptr || std::erase(entry->undelivered, first) == 0) return;
  if (entry->undelivered.empty() && entry->holder != nullptr) entry->holder->on_delivered();
}

// --- delivery that begins again ---

// STORE §6. As recovery does it, from the journal that is open: nothing since the last checkpoint is known to be safe
// in the inbox.
void Store::restart_delivery() {
  auto next = make_delivery();
  DeliveryRecords records;
  for (const BatchPlace& batch : journal_->batches())
    read_again(batch, [&](const Record& record) { records.note(record, batch.number); });
  next->restore(records);
  next->begin_log_ids_at(delivery_->next_log_id());
  for (const BatchPlace& batch : journal_->batches())
    if (batch.number <= next->delivered())
      read_again(batch, [&](const Record& record) { next->replay(record, batch.number); });
  const std::string trouble = next->open_again();
  if (!trouble.empty()) log_.error(LogEvent::inbox_blocked, trouble);
  delivery_ = std::move(next);
  trouble.empty() ? delivery_->start(world_.now(), *journal_, wanted_parts()) : delivery_->restart_later(world_.now());
}

void Store::read_again(const BatchPlace& batch, const std::function<void(const Record&)>& each) {
  Bytes bytes;
  if (!journal_->read(batch, bytes))
    return log_.error(LogEvent::journal_damaged, "journal: batch " + std::to_string(batch.number) + " cannot be read");
  BatchHeader header;
  header.number = batch.number;
  header.used = batch.used;
  visit_records(header, bytes, {each, [](const std::optional<Record>&) {}});
}

// --- what no client comes back for ---

Duration Store::recording_interval() const {
  Duration interval = kRecordThere;
  for (const Duration after : {options_.forget.unfinished_after, options_.forget.session_after})
    if (after > 0s) interval = std::min(interval, after / 4);
  return interval;
}

void Store::note_there(SessionEntry& entry) {
  if (entry.record_batch == 0 || entry.is_forgotten || !journal_->has_space(kBlockSize)) return;
  const Duration there = entry.holder != nullptr ? running_time() : entry.last_there;
  if (there - entry.recorded_there >= recording_interval()) record_session(entry);
}

// Half-sent messages and files first, which cost disk; then the mark.
void Store::let_go_of_old() {
  const ForgetOptions& forget = options_.forget;
  if (forget.unfinished_after == 0s && forget.session_after == 0s) return;
  std::vector<std::uint64_t> indices;
  for (const auto& [index, entry] : registry_->all())
    if (!entry->is_forgotten && entry->record_batch != 0) indices.push_back(index);
  std::sort(indices.begin(), indices.end());
  for (const std::uint64_t index : indices) {
    SessionEntry& entry = *registry_->find(index);
    note_there(entry);
    const bool is_at_rest = entry.received.through == entry.durable.through && !entry.is_touched && !entry.is_flying &&
                            entry.undelivered.empty();
    if (entry.holder != nullptr || !is_at_rest || !journal_->has_space(kBlockSize)) continue;
    const Duration away = running_time() - entry.last_there;
    const MessageState& message = entry.durable.message;
    if (forget.session_after > 0s && away >= forget.session_after) {
      let_go_of_session(entry);
    } else if (forget.unfinished_after > 0s && away >= forget.unfinished_after && message.is_begun &&
               !message.is_refused) {
      let_go_of_message(entry);
    }
  }
  if (!indices.empty()) delivery_->require_checkpoint();  // it says how much time has gone by
}

// STORE §4.2. Its client hears of it as of any refusal, should it come back.
void Store::let_go_of_message(SessionEntry& entry) {
  const Refusal refusal{ErrorCode::message_forgotten, entry.appended.message.first};
  SkippedRecord skipped{entry.appended, refusal};
  skipped.after.message.is_refused = true;
  intake_->forget(entry.index, journal_->gathering_number());
  append_skipped(entry, entry.appended.through.next(), 0, skipped);
  entry.received = entry.appended;
  tell_refusal(entry, refusal);
}

void Store::let_go_of_session(SessionEntry& entry) {
  const std::string name = short_name(entry.id);
  ++counters_.sessions_let_go;
  log_.warn(LogEvent::session_forgotten,
            entry.client_id + " session " + name + " is forgotten, at " +
                counted(entry.durable.messages, {"message", "messages"}) + ": its client did not come back for " +
                human_time(options_.forget.session_after),
            {.client = entry.client_id, .session = name, .channel = entry.channel});
  forget(entry);
}

// --- what an operator asks for ---

void Store::visit_sessions(const std::string& client_or_session, const std::function<void(SessionEntry&)>& each) {
  std::vector<std::uint64_t> indices;
  for (const auto& [index, entry] : registry_->all())
    if (!entry->is_forgotten && (entry->client_id == client_or_session || short_name(entry->id) == client_or_session))
      indices.push_back(index);
  // Each is looked up again: what is done to one may be the end of another.
  for (const std::uint64_t index : indices)
    if (SessionEntry* entry = registry_->find(index)) each(*entry);
}

void Store::verify(JournalCheck::Damage damage, JournalCheck::Done done) {
  JournalCheck::begin(disk_, *journal_, std::move(damage), std::move(done));
}

// --- time ---

Instant Store::next_deadline() const {
  const Instant seal_at = is_settling_ && delivery_->is_idle() ? last_batch_ : last_batch_ + kSealAfter;
  return std::min({delivery_->next_deadline(), intake_->next_deadline(), space_->next_deadline(), retry_at_, let_go_at_,
                   held_since_ && !was_held_said_ ? *held_since_ + kHeldLong : kNever,
                   !is_sealed_ && journal_->can_seal() ? seal_at : kNever});
}

void Store::handle_timeout() {
  const Instant now = world_.now();
  if (now >= retry_at_) {
    retry_at_ = kNever;
    journal_->retry();
  }
  if (now >= delivery_->restart_at()) restart_delivery();
  delivery_->handle_timeout(now);
  space_->handle_timeout();
  if (held_since_ && !was_held_said_ && now - *held_since_ >= kHeldLong) say_held();
  if (now >= let_go_at_) {
    let_go_at_ = now + kLetGoEvery;
    let_go_of_old();
    delivery_->pump(now);
  }
  flush();
  const bool is_time = now - last_batch_ >= kSealAfter || (is_settling_ && delivery_->is_idle());
  if (!is_sealed_ && is_time) journal_->seal();
}

void Store::settle() {
  if (!std::exchange(is_settling_, true)) {
    const bool counts_time = options_.forget.unfinished_after > 0s || options_.forget.session_after > 0s;
    counts_time && registry_->size() > 0 ? delivery_->require_checkpoint() : delivery_->request_checkpoint();
  }
  intake_->settle();
  delivery_->pump(world_.now());
  flush();
  if (delivery_->is_idle()) handle_timeout();
}

bool Store::is_at_rest() const {
  return journal_->is_idle() && intake_->is_idle() && delivery_->is_idle() && is_sealed_;
}

}  // namespace cproto
