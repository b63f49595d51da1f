#include "daemon/stream_store.h"

#include <algorithm>
#include <utility>

#include "config/wording.h"
#include "daemon/exposition.h"
#include "daemon/table.h"
#include "proto/assert.h"

namespace cproto {

namespace {

// An answer that does not come by then is not waited for.
constexpr Duration kPatience = 5s;
// Senders come back so soon when the stream went away, or did not answer; and when it is full.
constexpr Duration kAwayFor = 1s;
constexpr Duration kFullFor = 5s;
// Between two tries to open it.
constexpr Duration kBackOffMin = 250ms;
constexpr Duration kBackOffMax = 10s;
// Of a publication. The rest of what the server takes is left to headers.
constexpr std::size_t kPiecesMax = 2000;
constexpr std::size_t kHeadersMax = 16 * 1024;

}  // namespace

StreamStore::StreamStore(Stream& stream, const StoreOptions& options, const StreamStoreOptions& stream_options,
                         const World& world, Log& log)
    : Store(world, log, options.memory), stream_(stream), options_(stream_options), limits_(options.registry) {
  registry_ = std::make_unique<SessionRegistry>(limits_, world_.draw_id);
  trouble_ = Error::retry_after(ErrorCode::stream_away, kAwayFor);
  trouble_->sentence = options_.name + " is not open yet";
  stream_.set_owner(this);
  stream_.open();
}

StreamStore::~StreamStore() { stream_.set_owner(nullptr); }

void StreamStore::set_options(const StoreOptions& options) {
  limits_ = options.registry;
  set_memory(options.memory);
  if (is_open_) apply_limits();
}

// What is configured, as far as the stream allows it.
void StreamStore::apply_limits() {
  RegistryOptions limits = limits_;
  limits.max_packet_size = static_cast<std::uint32_t>(std::min<std::size_t>(limits.max_packet_size, pack_max()));
  limits.durability = Durability::replicated;
  limits.replicas = static_cast<std::uint8_t>(std::min(terms_.replicas, 255u));
  limits.replicas_sync = options_.servers_sync;
  registry_->set_options(limits);
}

// Bytes of payload that the servers take beside the headers.
std::size_t StreamStore::pack_max() const { return terms_.payload_max - std::min(kHeadersMax, terms_.payload_max / 2); }

// --- sessions ---

std::optional<Store::Admitted> StreamStore::admit(const Syn& syn, SessionHolder& holder) {
  if (const Error* why = trouble()) return *why;
  if (syn.kind == MessageKind::file) return Error::of(ErrorCode::files_not_taken);
  if (!syn.resume || syn.resume->store != id()) {
    Admitted admitted = registry_->admit(syn, holder);
    if (const Admission* admission = std::get_if<Admission>(&admitted)) begin(*admission->entry, 0, {});
    return admitted;
  }
  if (const auto stale = take_from_former(syn)) return *stale;
  const std::uint64_t ticket = ask({syn, &holder});
  stream_.find_last(ticket, stream_subject(syn.client_id, syn.channel, syn.resume->session));
  return std::nullopt;
}

std::uint64_t StreamStore::ask(Question question) {
  const std::uint64_t ticket = ++last_ticket_;
  tickets_[ticket] = {0, world_.now()};
  questions_.emplace(ticket, std::move(question));
  return ticket;
}

// nullopt: nobody waits for the answer any more, or it was no question.
std::optional<StreamStore::Question> StreamStore::take_question(std::uint64_t ticket) {
  const auto it = questions_.find(ticket);
  if (it == questions_.end()) return std::nullopt;
  tickets_.erase(ticket);
  ++moves_;
  Question question = std::move(it->second);
  questions_.erase(it);
  return question;
}

void StreamStore::withdraw(const SessionHolder& holder) {
  std::erase_if(questions_, [&](const auto& one) {
    if (one.second.holder != &holder) return false;
    tickets_.erase(one.first);
    return true;
  });
}

// STREAM.md §4. Behind what is the last message of the subject by what was found: only if it is.
void StreamStore::publish_note(Question question, std::uint64_t last) {
  const Syn& syn = question.syn;
  const SessionId& id = syn.resume->session;
  Pack nothing;
  StreamMark mark;
  if (question.found) {
    mark = *question.found;
  } else {
    mark.max_packet_size = syn.max_packet_size;
    mark.kind = syn.kind;
  }
  nothing.after = mark.position;
  mark.attempt = syn.attempt;
  StreamHeaders headers = encode_stream_headers(stream_session_name(id), nothing, mark, last);
  const std::string subject = stream_subject(syn.client_id, syn.channel, id);
  stream_.publish(ask(std::move(question)), {subject, last, std::move(headers), {}});
}

// What is said to a question once a note is the last message of its subject.
Store::Admitted StreamStore::decide(const Question& question, std::uint64_t last) {
  const Syn& syn = question.syn;
  if (const auto stale = take_from_former(syn)) return *stale;  // another was as quick
  std::optional<std::uint64_t> restored;
  if (const auto& mark = question.found) {
    restored = registry_->new_index();
    SessionEntry& entry = registry_->restore(*restored, {.id = syn.resume->session,
                                                         .client_id = syn.client_id,
                                                         .channel = syn.channel,
                                                         .identity = {},
                                                         .kind = mark->kind,
                                                         .attempt = mark->attempt,
                                                         .max_packet_size = mark->max_packet_size,
                                                         .last_there = {},
                                                         .position = mark->position,
                                                         .refusals = {}});
    entry.received = entry.appended = entry.flying = entry.durable = mark->position;
    for (const Refusal& refusal : mark->refusals) entry.refusals.push_back({refusal});
  }
  Admitted admitted = registry_->admit(syn, *question.holder);
  const Admission* admission = std::get_if<Admission>(&admitted);
  const bool is_it = admission != nullptr && restored && admission->entry->index == *restored;
  if (restored && !is_it) registry_->purge(*restored);
  if (is_it) begin(*admission->entry, last, question.found->channel);
  if (admission != nullptr && !is_it) begin(*admission->entry, 0, {});
  return admitted;
}

void StreamStore::begin(const SessionEntry& entry, std::uint64_t last, std::string channel) {
  sessions_.emplace(entry.index, Session{.name = stream_session_name(entry.id),
                                         .subject = stream_subject(entry.client_id, entry.channel, entry.id),
                                         .last = last,
                                         .queue = SessionQueue(entry.appended, entry.kind, std::move(channel)),
                                         .flight = {}});
}

// A newer connection of the session asks the stream; what the one before has not had stored by then is sent again.
std::optional<Error> StreamStore::take_from_former(const Syn& syn) {
  SessionEntry* entry = registry_->find(syn.resume->session);
  if (entry == nullptr || entry->client_id != syn.client_id) return std::nullopt;
  if (syn.attempt <= entry->attempt) return Error::of(ErrorCode::stale_attempt, entry->attempt);
  if (SessionHolder* former = std::exchange(entry->holder, nullptr)) former->on_superseded();
  let_go(*entry);
  return std::nullopt;
}

StreamStore::Session* StreamStore::find(const SessionEntry& entry) {
  const auto it = sessions_.find(entry.index);
  return it == sessions_.end() ? nullptr : &it->second;
}

void StreamStore::release(SessionEntry& entry, const SessionHolder& holder) {
  const std::uint64_t index = entry.index;
  registry_->release(entry, holder);
  if (registry_->find(index) == nullptr) sessions_.erase(index);
}

void StreamStore::forget(SessionEntry& entry) {
  registry_->forget(entry);
  entry.holder = nullptr;
  let_go(entry);
}

// Nothing of the session is known here any more. What is on its way may still be stored.
void StreamStore::let_go(SessionEntry& entry) {
  drop(entry);
  registry_->purge(entry.index);
}

void StreamStore::drop(SessionEntry& entry) {
  const auto it = sessions_.find(entry.index);
  if (it == sessions_.end()) return;
  held_ -= it->second.queue.size() + (it->second.flight ? it->second.flight->bytes : 0);
  sessions_.erase(it);
  entry.is_touched = entry.is_flying = false;
}

// --- data ---

void StreamStore::append(SessionEntry& entry, const server_event::Received& run) {
  CPROTO_ASSERT(run.first == entry.received.through.next());
  if (Session* session = find(entry)) {
    session->queue.push(run);
    held_ += run.frames.size();
    note_appended(entry, *session, run.after);
  }
}

void StreamStore::append(SessionEntry& entry, const server_event::Skipped& skipped) {
  CPROTO_ASSERT(skipped.number == entry.received.through.next());
  Session* session = find(entry);
  if (session == nullptr) return;
  const std::size_t before = session->queue.size();
  session->queue.push(skipped);
  held_ += session->queue.size() - before;
  if (skipped.refusal.code != ErrorCode::none)
    entry.refusals.push_back({skipped.refusal, RecordedRefusal::Stage::gathered});
  note_appended(entry, *session, skipped.after);
}

void StreamStore::note_appended(SessionEntry& entry, Session& session, const Position& after) {
  entry.received = entry.appended = after;
  entry.is_touched = true;
  if (!session.flight && !std::exchange(session.is_waiting, true)) waiting_.push_back(entry.index);
}

std::size_t StreamStore::room() const {
  const std::uint64_t most = memory() / 2;
  return held_ >= most || trouble() != nullptr ? 0 : static_cast<std::size_t>(most - held_);
}

void StreamStore::flush() {
  for (const std::uint64_t index : std::exchange(waiting_, {})) {
    const auto it = sessions_.find(index);
    if (it == sessions_.end()) continue;
    it->second.is_waiting = false;
    if (is_open_ && !it->second.flight && !it->second.queue.is_empty()) publish(*registry_->find(index), it->second);
  }
  watch_room();
}

// STREAM.md §2.
void StreamStore::publish(SessionEntry& entry, Session& session) {
  Pack pack = session.queue.pack({std::min(options_.pack_bytes, pack_max()), kPiecesMax});
  for (const Refusal& refusal : pack.refusals)
    for (RecordedRefusal& one : entry.refusals)
      if (one.refusal == refusal && one.stage == RecordedRefusal::Stage::gathered)
        one.stage = RecordedRefusal::Stage::flying;
  StreamMark mark{pack.after, entry.attempt, entry.max_packet_size, entry.kind, session.queue.channel(), {}};
  for (const RecordedRefusal& one : entry.refusals)
    if (one.stage != RecordedRefusal::Stage::gathered) mark.refusals.push_back(one.refusal);
  const std::uint64_t ticket = ++last_ticket_;
  tickets_[ticket] = {entry.index, world_.now()};
  session.flight = Flight{pack.after, pack.taken};
  entry.flying = pack.after;
  entry.is_flying = true;
  entry.is_touched = !session.queue.is_empty();
  counters_.batch_bytes.observe(static_cast<double>(pack.payload.size()));
  StreamHeaders headers = encode_stream_headers(session.name, pack, mark, session.last);
  stream_.publish(ticket, {session.subject, session.last, std::move(headers), std::move(pack.payload)});
}

// --- what the stream says ---

void StreamStore::on_opened(const StreamTerms& terms) {
  is_open_ = true;
  open_at_ = kNever;
  back_off_ = Duration{0};
  terms_ = terms;
  ++moves_;
  registry_->set_store(terms.id);
  apply_limits();
  end_trouble();
}

void StreamStore::on_closed(const std::string& why) {
  is_open_ = false;
  back_off_ = std::clamp(back_off_ * 2, kBackOffMin, kBackOffMax);
  open_at_ = world_.now() + back_off_;
  ++moves_;
  begin_trouble(ErrorCode::stream_away, options_.name + " cannot be used: " + why, kAwayFor);
  tickets_.clear();
  for (const auto& [ticket, question] : std::exchange(questions_, {})) question.holder->on_admitted(*trouble_);
  std::vector<std::uint64_t> indices;
  for (const auto& [index, session] : sessions_) indices.push_back(index);
  std::sort(indices.begin(), indices.end());
  for (const std::uint64_t index : indices) doubt(index, *trouble_);
}

std::optional<std::uint64_t> StreamStore::take_publication(std::uint64_t ticket) {
  const auto it = tickets_.find(ticket);
  if (it == tickets_.end()) return std::nullopt;  // not waited for any more
  const Ticket taken = it->second;
  tickets_.erase(it);
  ++moves_;
  publish_seconds_.observe(std::chrono::duration<double>(world_.now() - taken.since).count());
  return sessions_.contains(taken.session) ? std::optional(taken.session) : std::nullopt;
}

void StreamStore::on_stored(std::uint64_t ticket, std::uint64_t sequence) {
  if (const auto question = take_question(ticket)) {
    end_trouble();
    return question->holder->on_admitted(decide(*question, sequence));
  }
  const auto index = take_publication(ticket);
  if (!index) return;
  end_trouble();
  SessionEntry& entry = *registry_->find(*index);
  Session& session = sessions_.at(*index);
  const Flight flight = *std::exchange(session.flight, std::nullopt);
  session.last = sequence;
  held_ -= flight.bytes;
  entry.durable = flight.after;
  entry.is_flying = false;
  entry.move_refusals(RecordedRefusal::Stage::flying, RecordedRefusal::Stage::to_tell);
  if (!session.queue.is_empty() && !std::exchange(session.is_waiting, true)) waiting_.push_back(*index);
  if (entry.holder != nullptr) {
    entry.holder->on_committed();
  } else {
    entry.pass_over_refusals();
    if (!entry.is_touched) let_go(entry);
  }
  say_there_is_room();
}

void StreamStore::on_refused(std::uint64_t ticket, Stream::Refused how, const std::string& why) {
  const auto question = take_question(ticket);
  const auto index = question ? std::nullopt : take_publication(ticket);
  if (!question && !index) return;
  ++counters_.failures;
  Error error = Error::of(ErrorCode::written_elsewhere);
  if (how == Stream::Refused::elsewhere) {
    ++written_elsewhere_;
  } else {
    const bool is_full = how == Stream::Refused::full;
    begin_trouble(is_full ? ErrorCode::stream_full : ErrorCode::stream_away,
                  options_.name + (is_full ? " is full: " : " does not take what is published: ") + why,
                  is_full ? kFullFor : kAwayFor);
    error = *trouble_;
  }
  question ? question->holder->on_admitted(error) : doubt(*index, error);
}

void StreamStore::on_found(std::uint64_t ticket, const std::optional<StreamMessage>& last) {
  auto question = take_question(ticket);
  if (!question) return;
  const auto mark = last ? decode_stream_mark(last->headers) : std::nullopt;
  if (last && !mark) {
    Error error = Error::retry_after(ErrorCode::stream_away, kFullFor);
    error.sentence = options_.name + " has a message of this session that this version of cprotod did not write";
    return question->holder->on_admitted(error);
  }
  if (mark && mark->position.through > Seq{0}) question->found = mark;
  if (question->found && question->syn.attempt <= mark->attempt)
    return question->holder->on_admitted(Error::of(ErrorCode::stale_attempt, mark->attempt));
  publish_note(std::move(*question), last ? last->sequence : 0);
}

void StreamStore::on_not_asked(std::uint64_t ticket, const std::string& why) {
  const auto question = take_question(ticket);
  if (!question) return;
  begin_trouble(ErrorCode::stream_away, options_.name + " does not answer: " + why, Duration{0});
  question->holder->on_admitted(*trouble_);
}

// Its connection ends, its client comes back, and the stream is asked how far the session got.
void StreamStore::doubt(std::uint64_t index, const Error& why) {
  SessionEntry* entry = registry_->find(index);
  if (entry == nullptr) return;
  drop(*entry);
  if (entry->holder == nullptr) return registry_->purge(index);
  entry->holder->on_trouble(why);
}

// --- trouble ---

// Said once, and again when it is another.
void StreamStore::begin_trouble(ErrorCode code, const std::string& sentence, Duration refuse_for) {
  const bool is_new = !trouble_ || trouble_->sentence != sentence;
  trouble_ = Error::retry_after(code, std::max<Duration>(refuse_for, kAwayFor));
  trouble_->sentence = sentence;
  refuse_until_ = world_.now() + refuse_for;
  over_from_ = world_.now() + (code == ErrorCode::stream_full ? 2 * kFullFor : Duration{0});
  if (is_new)
    log_.error(code == ErrorCode::stream_full ? LogEvent::stream_full : LogEvent::stream_away,
               sentence + "; nothing is acknowledged, senders wait");
}

void StreamStore::end_trouble() {
  if (!trouble_ || world_.now() < over_from_) return;
  trouble_.reset();
  refuse_until_ = kNever;
  log_.info(LogEvent::stream_works, options_.name + " is open: " + counted(terms_.replicas, {"copy", "copies"}) +
                                        " of each message, up to " + human_bytes(terms_.payload_max));
}

const Error* StreamStore::trouble() const {
  return trouble_ && (!is_open_ || world_.now() < refuse_until_) ? &*trouble_ : nullptr;
}

// --- time ---

Instant StreamStore::next_deadline() const {
  const Instant patience = tickets_.empty() ? kNever : tickets_.begin()->second.since + kPatience;
  const Instant room_at = trouble_ && is_open_ && world_.now() < refuse_until_ ? refuse_until_ : kNever;
  return std::min({open_at_, patience, room_at, next_held_deadline()});
}

void StreamStore::handle_timeout() {
  const Instant now = world_.now();
  if (now >= open_at_) {
    open_at_ = kNever;
    stream_.open();
  }
  while (!tickets_.empty() && now >= tickets_.begin()->second.since + kPatience) {
    const auto [ticket, what] = *tickets_.begin();
    const std::string why = "no answer for " + human_time(kPatience);
    what.session == 0 ? on_not_asked(ticket, why) : on_refused(ticket, Stream::Refused::unknown, why);
  }
  handle_held_timeout();
  flush();
  say_there_is_room();
}

// --- what an operator sees ---

std::vector<Wait> StreamStore::waits() const {
  return {{"publishing to " + options_.name, "nothing is acknowledged until it does", options_.name + " answers again",
           !tickets_.empty(), moves_}};
}

std::string StreamStore::left_to_do() const { return human_bytes(held_) + " to publish"; }

void StreamStore::add_details(Details& details, bool is_for_programs) const {
  details.add("store", text_cell(options_.name))
      .add("copies", number_cell(terms_.replicas))
      .add("to_publish", bytes_cell(held_));
  if (!is_for_programs) return;
  details.add("stream_id", text_cell(to_hex(terms_.id))).add("is_open", text_cell(is_open_ ? "yes" : "no"));
}

void StreamStore::add_metrics(Exposition& out) const {
  out.histogram("cproto_publish_seconds", "Time until the stream had stored a publication.", publish_seconds_);
  out.histogram("cproto_batch_bytes", "Size of the publications.", counters_.batch_bytes);
  out.counter("cproto_publish_failures_total", "Publications that were refused or not answered.", counters_.failures);
  out.counter("cproto_written_elsewhere_total", "Of them, since another daemon had written to the session.",
              written_elsewhere_);
  out.gauge("cproto_stream_open", "1 while there is a connection to the stream.", is_open_ ? 1 : 0);
  out.gauge("cproto_stream_backlog_bytes", "Received and not yet stored.", static_cast<double>(held_));
}

}  // namespace cproto
