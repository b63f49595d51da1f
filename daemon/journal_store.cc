#include "daemon/journal_store.h"

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

JournalStore::JournalStore(Disk& disk, const StoreOptions& options, const World& world, Log& log)
    : Store(world, log, options.memory), disk_(disk), options_(options) {}

JournalStore::~JournalStore() {
  space_.reset();
  intake_.reset();
  delivery_.reset();
  journal_.reset();
}

std::variant<std::unique_ptr<JournalStore>, StoreProblem> JournalStore::open(Disk& disk, const StoreOptions& options,
                                                                             const World& world, Log& log) {
  std::unique_ptr<JournalStore> store(new JournalStore(disk, options, world, log));
  if (auto problem = store->open_identity()) return std::move(*problem);
  if (auto problem = store->recover()) return std::move(*problem);
  return store;
}

// --- opening ---

// STORE §1. The file "store" says which store this is; it appears whole or not at all.
std::optional<StoreProblem> JournalStore::open_identity() {
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
void JournalStore::sync_parent() {
  Job sync{file_op::sync_directory(parent_of(options_.directory))};
  disk_.run(sync);
}

// STORE §5.
std::optional<StoreProblem> JournalStore::recover() {
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

void JournalStore::watch_space() {
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

std::optional<Store::Admitted> JournalStore::admit(const Syn& syn, SessionHolder& holder) {
  auto admitted = registry_->admit(syn, holder);
  const Error* error = std::get_if<Error>(&admitted);
  if (error != nullptr && error->code == ErrorCode::too_many_clients) space_->list_soon();  // some may be gone
  return admitted;
}

const Error* JournalStore::no_room(const std::string& client) {
  if (const Error* trouble = space_->trouble(client)) return trouble;
  const std::string blocked = delivery_->over_share(client);
  if (blocked.empty()) return nullptr;
  no_room_ = Error::retry_after(ErrorCode::inbox_blocked, kRetryAfter);
  no_room_.sentence = "the inbox is blocked: " + blocked;
  return &no_room_;
}

// Its client was there until now, and that is to be known after a restart, too.
void JournalStore::release(SessionEntry& entry, const SessionHolder& holder) {
  const std::uint64_t index = entry.index;
  if (entry.holder == &holder) entry.last_there = running_time();
  registry_->release(entry, holder);
  if (SessionEntry* left = registry_->find(index)) note_there(*left);
}

void JournalStore::set_options(const StoreOptions& options) {
  registry_->set_options(options.registry);
  space_->set_limits(options.space);
  options_.forget = options.forget;
  options_.existing_file = options.existing_file;
  delivery_->set_existing_file(options.existing_file);
  options_.memory = options.memory;
  set_memory(options.memory);
  const MemoryShares memory(options.memory);
  journal_->set_batch_bytes(memory.batch());
  intake_->set_memory(memory);
  delivery_->set_memory(memory);
}

std::uint64_t JournalStore::held_bytes() const {
  return journal_->held_bytes() + intake_->held_bytes() + delivery_->held_bytes() + partial_frames_.bytes();
}

// A part is renamed into the inbox, and a second name links to it: both must be on the inbox's file system.
std::string JournalStore::file_parts() const { return options_.inbox.empty() ? path("partial") : inbox() + "/.cproto"; }

std::string JournalStore::inbox() const { return options_.inbox.empty() ? path("inbox") : options_.inbox; }

std::unique_ptr<Delivery> JournalStore::make_delivery() {
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
std::set<std::string> JournalStore::wanted_parts() const {
  std::set<std::string> wanted;
  intake_->add_wanted(wanted);
  for (const auto& [index, entry] : registry_->all())
    for (const Seq first : entry->undelivered) wanted.insert(file_part_path(file_parts(), index, first));
  return wanted;
}

// --- appending ---

void JournalStore::touch(SessionEntry& entry) {
  if (entry.record_batch == 0) record_session(entry);
  if (entry.is_touched) return;
  entry.is_touched = true;
  touched_.push_back(&entry);
}

// STORE §4.3. Twice, as it is the only one: a damaged record must not take its neighbours with it.
void JournalStore::record_session(SessionEntry& entry) {
  if (entry.holder != nullptr) entry.last_there = running_time();
  entry.recorded_there = entry.last_there;
  Bytes body;
  encode_session(to_record(entry), body);
  const Record record{.type = RecordType::session, .session = entry.index, .first = {}, .count = 0, .body = body};
  journal_->append(record);
  journal_->append(record);
  entry.record_batch = journal_->gathering_number();
}

void JournalStore::append(SessionEntry& entry, const server_event::Received& run) {
  CPROTO_ASSERT(run.first == entry.received.through.next());
  if (run.is_file || intake_->is_waiting(entry.index))
    intake_->take(world_.now(), entry, run);
  else
    append_frames(entry, run.first, run.count, run.frames, run.after);
  entry.received = run.after;
  space_->note_received(entry.client_id, run.payload_bytes);
}

void JournalStore::append(SessionEntry& entry, const server_event::Skipped& skipped) {
  CPROTO_ASSERT(skipped.number == entry.received.through.next());
  if (intake_->has_file(entry.index) || intake_->is_waiting(entry.index))
    intake_->take(world_.now(), entry, skipped);
  else
    append_skipped(entry, skipped.number, 1, {skipped.after, skipped.refusal});
  entry.received = skipped.after;
}

// What waited behind the bytes of a file, or was them. Its turn has come.
std::uint64_t JournalStore::append(std::uint64_t session, const FileIntake::Ready& ready) {
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

void JournalStore::append_frames(SessionEntry& entry, Seq first, std::uint32_t count, ByteView frames,
                                 const Position& after) {
  CPROTO_ASSERT(first == entry.appended.through.next());
  touch(entry);
  intake_->note_messages(world_.now());
  journal_->append(
      {.type = RecordType::frames, .session = entry.index, .first = first, .count = count, .body = frames});
  entry.appended = after;
}

// STORE §4.8. One that is whole is written twice: without it nobody would know what to do with the bytes.
void JournalStore::append_file(SessionEntry& entry, Seq first, std::uint32_t count, const FileRecord& file) {
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

void JournalStore::append_skipped(SessionEntry& entry, Seq first, std::uint32_t count, const SkippedRecord& skipped) {
  CPROTO_ASSERT(first == entry.appended.through.next());
  touch(entry);
  Bytes body;
  encode_skipped(skipped, body);
  journal_->append({.type = RecordType::skipped, .session = entry.index, .first = first, .count = count, .body = body});
  entry.appended = skipped.after;
  if (skipped.refusal.code == ErrorCode::none) return;
  entry.refusals.push_back({skipped.refusal, RecordedRefusal::Stage::gathered});
}

void JournalStore::forget(SessionEntry& entry) {
  registry_->forget(entry);
  entry.holder = nullptr;
  intake_->forget(entry.index, journal_->gathering_number());
  if (entry.record_batch == 0) return registry_->purge(entry.index);
  record_end(entry);
}

void JournalStore::record_end(const SessionEntry& entry) {
  journal_->append({.type = RecordType::forget, .session = entry.index, .first = {}, .count = 0, .body = {}});
}

// --- what the journal says ---

void JournalStore::on_batch_started() {
  for (SessionEntry* entry : touched_) {
    entry->is_touched = false;
    entry->flying = entry->appended;
    entry->move_refusals(RecordedRefusal::Stage::gathered, RecordedRefusal::Stage::flying);
    if (!std::exchange(entry->is_flying, true)) flying_.push_back(entry);
  }
  touched_.clear();
}

void JournalStore::on_durable(const BatchPlace& batch, Duration sync_time) {
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
  say_there_is_room();
}

void JournalStore::on_failed(int error, std::uint32_t segment) {
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

bool JournalStore::carry_forward(std::uint64_t before_batch) {
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

void JournalStore::flush() {
  intake_->set_keep_free(space_->keep_free());
  intake_->flush(world_.now());
  journal_->flush();
  if (std::exchange(is_hurried_, false)) delivery_->hurry(world_.now());
  watch_room();
}

void JournalStore::on_trouble(std::uint64_t session, const Error& trouble) {
  ++counters_.failures;
  if (SessionEntry* entry = registry_->find(session); entry->holder != nullptr) entry->holder->on_trouble(trouble);
}

void JournalStore::on_step() {
  journal_->flush();
  say_there_is_room();
}

// A file is where people look for it; its session may be waiting to hear that all are.
void JournalStore::on_placed(std::uint64_t session, Seq first) {
  SessionEntry* entry = registry_->find(session);
  if (entry == nullptr || std::erase(entry->undelivered, first) == 0) return;
  if (entry->undelivered.empty() && entry->holder != nullptr) entry->holder->on_delivered();
}

// --- delivery that begins again ---

// STORE §6. As recovery does it, from the journal that is open: nothing since the last checkpoint is known to be safe
// in the inbox.
void JournalStore::restart_delivery() {
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

void JournalStore::read_again(const BatchPlace& batch, const std::function<void(const Record&)>& each) {
  Bytes bytes;
  if (!journal_->read(batch, bytes))
    return log_.error(LogEvent::journal_damaged, "journal: batch " + std::to_string(batch.number) + " cannot be read");
  BatchHeader header;
  header.number = batch.number;
  header.used = batch.used;
  visit_records(header, bytes, {each, [](const std::optional<Record>&) {}});
}

// --- what no client comes back for ---

Duration JournalStore::recording_interval() const {
  Duration interval = kRecordThere;
  for (const Duration after : {options_.forget.unfinished_after, options_.forget.session_after})
    if (after > 0s) interval = std::min(interval, after / 4);
  return interval;
}

void JournalStore::note_there(SessionEntry& entry) {
  if (entry.record_batch == 0 || entry.is_forgotten || !journal_->has_space(kBlockSize)) return;
  const Duration there = entry.holder != nullptr ? running_time() : entry.last_there;
  if (there - entry.recorded_there >= recording_interval()) record_session(entry);
}

// Half-sent messages and files first, which cost disk; then the mark.
void JournalStore::let_go_of_old() {
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
void JournalStore::let_go_of_message(SessionEntry& entry) {
  const Refusal refusal{ErrorCode::message_forgotten, entry.appended.message.first};
  SkippedRecord skipped{entry.appended, refusal};
  skipped.after.message.is_refused = true;
  intake_->forget(entry.index, journal_->gathering_number());
  append_skipped(entry, entry.appended.through.next(), 0, skipped);
  entry.received = entry.appended;
  tell_refusal(entry, refusal);
}

void JournalStore::let_go_of_session(SessionEntry& entry) {
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

bool JournalStore::verify(JournalCheck::Damage damage, JournalCheck::Done done) {
  JournalCheck::begin(disk_, *journal_, std::move(damage), std::move(done));
  return true;
}

bool JournalStore::is_busy() const {
  return !journal_->is_idle() || delivery_->waits_for_disk() || intake_->waits_for_disk() ||
         space_->trouble() != nullptr;
}

std::vector<Wait> JournalStore::waits() const {
  const std::string journal = path("journal");
  const std::string parts = path("partial");
  return {{"writing to " + inbox(), "what is acknowledged is in the journal",
           inbox() + " answers again; delivery goes on", delivery_->waits_for_disk(), delivery_->moves()},
          {"writing to " + parts, "files wait", parts + " answers again; files go on", intake_->waits_for_disk(),
           intake_->moves()},
          {"fdatasync on " + journal, "nothing is acknowledged until it does",
           journal + " answers again; senders go on", journal_->waits_for_disk(), batch_moves()}};
}

// --- time ---

Instant JournalStore::next_deadline() const {
  const Instant seal_at = is_settling_ && delivery_->is_idle() ? last_batch_ : last_batch_ + kSealAfter;
  return std::min({delivery_->next_deadline(), intake_->next_deadline(), space_->next_deadline(), retry_at_, let_go_at_,
                   next_held_deadline(), !is_sealed_ && journal_->can_seal() ? seal_at : kNever});
}

void JournalStore::handle_timeout() {
  const Instant now = world_.now();
  if (now >= retry_at_) {
    retry_at_ = kNever;
    journal_->retry();
  }
  if (now >= delivery_->restart_at()) restart_delivery();
  delivery_->handle_timeout(now);
  space_->handle_timeout();
  handle_held_timeout();
  if (now >= let_go_at_) {
    let_go_at_ = now + kLetGoEvery;
    let_go_of_old();
    delivery_->pump(now);
  }
  flush();
  const bool is_time = now - last_batch_ >= kSealAfter || (is_settling_ && delivery_->is_idle());
  if (!is_sealed_ && is_time) journal_->seal();
}

void JournalStore::settle() {
  if (!std::exchange(is_settling_, true)) {
    const bool counts_time = options_.forget.unfinished_after > 0s || options_.forget.session_after > 0s;
    counts_time && registry_->size() > 0 ? delivery_->require_checkpoint() : delivery_->request_checkpoint();
  }
  intake_->settle();
  delivery_->pump(world_.now());
  flush();
  if (delivery_->is_idle()) handle_timeout();
}

bool JournalStore::is_at_rest() const {
  return journal_->is_idle() && intake_->is_idle() && delivery_->is_idle() && is_sealed_;
}

}  // namespace cproto
