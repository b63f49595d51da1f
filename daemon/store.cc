#include "daemon/store.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "daemon/session_name.h"
#include "daemon/store_format.h"
#include "proto/assert.h"
#include "proto/frame.h"
#include "proto/message.h"

namespace cproto {

namespace {

constexpr std::uint32_t kStoreMode = 0700;
constexpr std::uint32_t kFileMode = 0600;
constexpr Duration kSealAfter = 1s;   // of idleness
constexpr Duration kRetryAfter = 5s;  // a failed disk
constexpr Duration kSayAgain = 60s;
constexpr std::size_t kAssemblyBytes = 1u << 20;

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Store::Store(Disk& disk, const StoreOptions& options, const World& world, Log& log)
    : disk_(disk), options_(options), world_(world), log_(log) {}

Store::~Store() {
  *alive_ = false;
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

// STORE §5. The first pass learns what later records say of earlier ones; the second applies all of them in order.
std::optional<StoreProblem> Store::recover() {
  RegistryOptions registry = options_.registry;
  registry.store = id_;
  registry_ = std::make_unique<SessionRegistry>(registry, world_.draw_id);
  delivery_ = make_delivery();
  const JournalOptions journal{path("journal"), id_, secret_, options_.segment_size};
  auto found = find_chain(disk_, journal, options_.on_progress);
  if (auto* problem = std::get_if<StoreProblem>(&found)) return std::move(*problem);
  Chain& chain = std::get<Chain>(found);
  for (const std::string& line : chain.damage) log_.error(LogEvent::journal_damaged, "journal: " + line);
  if (chain.torn_batches > 0)
    log_.info(LogEvent::recovered, "journal: the last batch was not written whole; nobody was told of it");
  first_pass(chain);
  second_pass(chain);
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
  delivery_->start(world_.now(), *journal_);
  if (batches > 0)
    log_.info(LogEvent::recovered, "recovered " + std::to_string(registry_->size()) + " sessions from " +
                                       std::to_string(batches) + " batches");
  return std::nullopt;
}

std::string Store::inbox() const { return options_.inbox.empty() ? path("inbox") : options_.inbox; }

std::unique_ptr<Delivery> Store::make_delivery() {
  DeliveryOptions delivery;
  delivery.inbox = inbox();
  // A second name must be on the inbox's file system.
  delivery.links = options_.inbox.empty() ? path("open") : inbox() + "/.cproto";
  delivery.parts = path("partial");
  delivery.assembly_bytes = std::min<std::uint64_t>(kAssemblyBytes, options_.segment_size / 8);
  return std::make_unique<Delivery>(disk_, delivery, *registry_, log_);
}

void Store::say_progress(const char* doing, const ChainBatch& batch, const Chain& chain) const {
  if (!options_.on_progress) return;
  options_.on_progress(std::string(doing) + " batch " + std::to_string(&batch - chain.batches.data() + 1) + " of " +
                       std::to_string(chain.batches.size()));
}

void Store::first_pass(Chain& chain) {
  DeliveryRecords delivery;
  Bytes bytes;
  for (const ChainBatch& batch : chain.batches) {
    say_progress("looking at", batch, chain);
    if (!read_batch(disk_, chain, batch, bytes)) continue;
    const auto each = [&](const Record& record) {
      delivery.note(record, batch.header.number);
      // Of a session that is over there may be its end and no more.
      registry_->reserve(record.session);
      if (record.type != RecordType::session) return;
      if (const auto session = decode_session(record.body)) registry_->restore(record.session, *session);
    };
    visit_records(batch.header, bytes, {each, [](const std::optional<Record>&) {}});
  }
  delivery_->restore(delivery);
}

void Store::second_pass(Chain& chain) {
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
      if (number <= delivery_->delivered()) delivery_->replay(record, number);
    };
    const auto salvage = [&](const std::optional<Record>& record) {
      ++damaged;
      SessionEntry* entry = record ? registry_->find(record->session) : nullptr;
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
  for (const auto& [index, entry] : registry_->all()) entry->flying = entry->durable = entry->appended;
  has_position_.clear();
}

void Store::apply(const Record& record, std::uint64_t batch) {
  SessionEntry* entry = record.session != 0 ? registry_->find(record.session) : nullptr;
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
    case RecordType::forget: return registry_->forget(*entry);
    case RecordType::pieces:
    case RecordType::log_opened:
    case RecordType::checkpoint: return;
  }
}

void Store::apply_frames(SessionEntry& entry, const Record& record) {
  ByteView rest = record.body;
  for (Seq number = record.first; !rest.empty(); number = number.next()) {
    const std::size_t size = kHeaderSize + decode_header(rest.data()).payload_size;
    apply_frame(entry, number, rest.first(size));
    rest = rest.subspan(size);
  }
}

// The same filter as on the network: what is known already is passed over.
void Store::apply_frame(SessionEntry& entry, Seq number, ByteView frame) {
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

// --- appending ---

void Store::touch(SessionEntry& entry) {
  if (entry.record_batch == 0) record_session(entry);
  if (entry.is_touched) return;
  entry.is_touched = true;
  touched_.push_back(&entry);
}

// STORE §4.3. Twice, as it is the only one: a damaged record must not take its neighbours with it.
void Store::record_session(SessionEntry& entry) {
  Bytes body;
  encode_session(to_record(entry), body);
  const Record record{.type = RecordType::session, .session = entry.index, .first = {}, .count = 0, .body = body};
  journal_->append(record);
  journal_->append(record);
  entry.record_batch = journal_->gathering_number();
}

void Store::append(SessionEntry& entry, const server_event::Received& run) {
  CPROTO_ASSERT(run.first == entry.appended.through.next());
  touch(entry);
  journal_->append(
      {.type = RecordType::frames, .session = entry.index, .first = run.first, .count = run.count, .body = run.frames});
  entry.appended = run.after;
}

void Store::append(SessionEntry& entry, const server_event::Skipped& skipped) {
  CPROTO_ASSERT(skipped.number == entry.appended.through.next());
  touch(entry);
  Bytes body;
  encode_skipped({skipped.payload_bytes, skipped.ends_message, skipped.refusal}, body);
  journal_->append(
      {.type = RecordType::skipped, .session = entry.index, .first = skipped.number, .count = 1, .body = body});
  entry.appended = skipped.after;
  if (skipped.refusal.code == ErrorCode::none) return;
  entry.refusals.push_back(skipped.refusal);
  entry.refusals_gathered.push_back(skipped.refusal);
}

void Store::forget(SessionEntry& entry) {
  registry_->forget(entry);
  entry.holder = nullptr;
  if (entry.record_batch == 0) return registry_->purge(entry.index);
  record_end(entry);
}

void Store::record_end(const SessionEntry& entry) {
  journal_->append({.type = RecordType::forget, .session = entry.index, .first = {}, .count = 0, .body = {}});
}

// --- what the journal says ---

static void move_behind(std::vector<Refusal>& from, std::vector<Refusal>& to) {
  to.insert(to.end(), from.begin(), from.end());
  from.clear();
}

void Store::on_batch_started() {
  for (SessionEntry* entry : touched_) {
    entry->is_touched = false;
    entry->flying = entry->appended;
    move_behind(entry->refusals_gathered, entry->refusals_flying);
    if (!std::exchange(entry->is_flying, true)) flying_.push_back(entry);
  }
  touched_.clear();
}

void Store::on_durable(const BatchPlace& batch, Duration sync_time) {
  counters_.sync_seconds.observe(std::chrono::duration<double>(sync_time).count());
  counters_.batch_bytes.observe(batch.size);
  const bool was_full = room() == 0;
  last_batch_ = world_.now();
  is_sealed_ = batch.used == 0;
  if (trouble_) log_.warn(LogEvent::disk_works, "the disk works again; senders go on");
  trouble_.reset();
  failures_ = 0;
  const std::vector<SessionEntry*> durable = std::exchange(flying_, {});
  for (SessionEntry* entry : durable) {
    entry->is_flying = false;
    entry->durable = entry->flying;
    move_behind(entry->refusals_flying, entry->refusals_to_tell);
    if (entry->holder == nullptr) entry->refusals_to_tell.clear();  // the next SYN-ACK says them
  }
  tell(durable, [](SessionHolder& holder) { holder.on_committed(); });
  delivery_->on_durable(world_.now(), batch);
  if (on_room_ && (was_full || room() > 0)) on_room_();
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
    if (entry->holder != nullptr && entry->appended.through != entry->durable.through) waiting.push_back(entry.get());
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
  return delivery_->carry_forward(before_batch);
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
  trouble.empty() ? delivery_->start(world_.now(), *journal_) : delivery_->restart_later(world_.now());
}

void Store::read_again(const BatchPlace& batch, const std::function<void(const Record&)>& each) {
  Bytes bytes(batch.size);
  Job job{file_op::read(journal_->file_of(batch), batch.offset, bytes)};
  if (!disk_.run(job).ok())
    return log_.error(LogEvent::journal_damaged, "journal: batch " + std::to_string(batch.number) + " cannot be read");
  BatchHeader header;
  header.number = batch.number;
  header.used = batch.used;
  visit_records(header, bytes, {each, [](const std::optional<Record>&) {}});
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

struct Store::Verification {
  std::uint64_t next = 0;  // batch
  std::uint64_t last = 0;  // what comes behind it was written meanwhile
  std::uint64_t read = 0;
  Bytes bytes;
  Damage damage;
  std::function<void(std::uint64_t)> done;
};

void Store::verify(Damage damage, std::function<void(std::uint64_t)> done) {
  const auto verification = std::make_shared<Verification>();
  verification->last = journal_->last_durable();
  verification->damage = std::move(damage);
  verification->done = std::move(done);
  verify_next(verification);
}

// One batch at a time, beside the work: one that goes back meanwhile is passed over.
void Store::verify_next(const std::shared_ptr<Verification>& verification) {
  const auto& batches = journal_->batches();
  const auto find = [&batches, verification] {
    return std::find_if(batches.begin(), batches.end(),
                        [&](const BatchPlace& batch) { return batch.number >= verification->next; });
  };
  const auto it = find();
  if (it == batches.end() || it->number > verification->last) return verification->done(verification->read);
  const std::uint64_t number = it->number;
  verification->next = number;
  verification->bytes.resize(it->size);
  Job job{file_op::read(journal_->file_of(*it), it->offset, verification->bytes)};
  disk_.submit(std::move(job), [this, alive = alive_, verification, find, number](JobResult result) {
    if (!*alive) return;
    const auto now = find();
    const bool is_there = now != journal_->batches().end() && now->number == number;
    const auto header = decode_batch_header(verification->bytes.data());
    if (is_there) ++verification->read;
    if (is_there && !result.ok())
      verification->damage("batch " + std::to_string(number) + " cannot be read: " + std::strerror(result.error));
    else if (is_there && (!header || header->number != number || !batch_checks(*header, verification->bytes)))
      verification->damage("batch " + std::to_string(number) + " in segment " + std::to_string(now->segment) +
                           " does not check");
    verification->next = number + 1;
    verify_next(verification);
  });
}

// --- time ---

Instant Store::next_deadline() const {
  const Instant seal_at = is_settling_ && delivery_->is_idle() ? last_batch_ : last_batch_ + kSealAfter;
  return std::min({delivery_->next_deadline(), retry_at_, !is_sealed_ && journal_->can_seal() ? seal_at : kNever});
}

void Store::handle_timeout() {
  const Instant now = world_.now();
  if (now >= retry_at_) {
    retry_at_ = kNever;
    journal_->retry();
  }
  if (now >= delivery_->restart_at()) restart_delivery();
  delivery_->handle_timeout(now);
  const bool is_time = now - last_batch_ >= kSealAfter || (is_settling_ && delivery_->is_idle());
  if (!is_sealed_ && is_time) journal_->seal();
}

void Store::settle() {
  if (!std::exchange(is_settling_, true)) delivery_->request_checkpoint();
  delivery_->pump(world_.now());
  journal_->flush();
  if (delivery_->is_idle()) handle_timeout();
}

bool Store::is_at_rest() const { return journal_->is_idle() && delivery_->is_idle() && is_sealed_; }

}  // namespace cproto
