#include "daemon/peer.h"

#include <algorithm>
#include <utility>

#include "daemon/file_intake.h"
#include "proto/assert.h"

namespace cproto {

namespace {

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

// A client that was sent away by hand comes back after so long.
constexpr Duration kKickedFor = 1s;
// And one whose frames took too much memory.
constexpr Duration kOverloadedFor = 5s;

}  // namespace

Peer::Peer(Instant now, Store& store, Wire& wire, Log& log, PeerCounters& counters, const World& world,
           std::string address, const ServerOptions& options, std::uint64_t window_bytes)
    : store_(store),
      wire_(wire),
      log_(now, log, std::move(address)),
      counters_(counters),
      world_(world),
      session_(now, options),
      window_bytes_(window_bytes),
      last_input_(now),
      rate_(now) {
  ++counters_.connections;
}

Peer::~Peer() {
  if (asked_) store_.withdraw(*this);
  store_.partial_frames().note(*this, 0, false);
  if (entry_ != nullptr) store_.release(*entry_, *this);
}

void Peer::turn() {
  if (std::exchange(in_turn_, true)) return;  // settle() is under way and sees to it
  const Instant now = world_.now();
  if (is_opened_ && entry_ != nullptr) log_.on_turn(now, *entry_);
  count();
  settle(now, session_, *this);
  in_turn_ = false;
}

// --- who it is ---

void Peer::identify(const Authority& authority, Identity identity) {
  authority_ = &authority;
  identity_ = std::move(identity);
}

void Peer::refuse_plain(ByteView input) {
  log_.on_input(input);
  session_.end(Error::of(ErrorCode::tls_required));
  turn();
}

void Peer::on_tls_failed(const std::string& why) {
  if (!is_opened_ && !session_.wants_finish()) {
    is_refused_ = true;
    ++counters_.handshake_failures;
    ++counters_.tls_failures;
    if (const auto more = counters_.stranger_lines.note(world_.now())) log_.on_tls_failed(why, *more);
  }
  on_lost();
}

void Peer::expel(ErrorCode why) {
  if (session_.wants_finish()) return;
  if (!is_opened_) turn_away(why);
  session_.end(Error::of(why));
  turn();
}

// --- input ---

void Peer::receive(ByteView input) {
  if (!is_opened_) log_.on_input(input);
  last_input_ = world_.now();
  const std::size_t unfinished = session_.unread().size();
  session_.receive(last_input_, input);
  turn();
  if (!session_.wants_finish()) {
    const std::size_t left = session_.unread().size();
    store_.partial_frames().note(*this, left, left == unfinished + input.size());
  }
  if (room() == 0) on_full();
}

void Peer::on_full() {
  if (!is_reading_ || session_.wants_finish()) return;
  const Error* trouble = entry_ != nullptr ? store_.trouble(*entry_) : store_.trouble();
  if (trouble != nullptr) return on_trouble(*trouble);
  is_reading_ = false;
  session_.set_reading(false);
  wire_.set_reading(false);
}

void Peer::on_lost() {
  if (session_.wants_finish()) return;
  session_.receive_end(world_.now());
  while (auto event = session_.poll_event(world_.now())) on_event(*event);
  count();
  let_go(ErrorCode::none);
}

void Peer::let_go(ErrorCode why) {
  if (std::exchange(asked_, nullptr)) store_.withdraw(*this);
  if (entry_ == nullptr) return;
  SessionEntry& entry = *std::exchange(entry_, nullptr);
  entry.left_at = world_.now();
  if (why != ErrorCode::none) entry.last_error = why;
  store_.release(entry, *this);
}

void Peer::count() {
  counters_.duplicates += session_.duplicates() - std::exchange(duplicates_counted_, session_.duplicates());
  counters_.damaged_frames += session_.damaged() - std::exchange(damaged_counted_, session_.damaged());
}

void Peer::on_room() {
  if (is_reading_ || session_.wants_finish()) return;
  is_reading_ = true;
  session_.set_reading(true);
  wire_.set_reading(true);
  turn();
}

void Peer::receive_end() {
  session_.receive_end(world_.now());
  turn();
}

void Peer::handle_timeout() {
  session_.handle_timeout(world_.now());
  turn();
}

void Peer::turn_away(ErrorCode why) {
  is_refused_ = true;
  ++counters_.handshake_failures;
  ++counters_.refused[why];
}

void Peer::on_writable() { turn(); }

void Peer::pause(Duration retry_after) {
  session_.pause(retry_after);
  turn();
}

void Peer::on_committed() {
  if (waiting_) {
    entry_->pass_over_refusals();
    if (is_settled()) accept(store_.registry().resumed_terms(*std::exchange(waiting_, nullptr), *entry_));
    return turn();
  }
  session_.commit(world_.now(), entry_->durable.through, entry_->durable.bytes, entry_->take_refusals());
  ++counters_.acknowledgements;
  turn();
}

void Peer::on_superseded() {
  log_.on_superseded(*entry_);
  entry_ = nullptr;  // before anything else of this connection can touch it
  session_.end(Error::of(ErrorCode::superseded));
  turn();
}

// Told to come back rather than left waiting: so its user learns why. What it was told of a message stays true.
void Peer::on_trouble(const Error& trouble) {
  if (session_.wants_finish()) return;
  if (!is_opened_) turn_away(trouble.code);
  session_.end(trouble);
  turn();
}

void Peer::finish() {
  store_.partial_frames().note(*this, 0, false);
  count();
  let_go(ErrorCode::none);
  wire_.finish();
}

void Peer::on_event(ServerEvent& event) {
  std::visit(Overloaded{
                 [&](server_event::Hello& hello) { on_hello(hello.syn); },
                 [&](server_event::Opened&) {
                   is_opened_ = true;
                   ++counters_.sessions;
                   wire_.on_opened();
                   if (entry_ != nullptr) log_.on_opened(*entry_);
                 },
                 [&](server_event::Received& run) {
                   if (entry_ == nullptr || finds_no_room()) return;  // fenced in this very turn
                   counters_.payload_bytes += run.payload_bytes;
                   const std::uint64_t messages = run.after.messages - entry_->received.messages;
                   counters_.messages += messages;
                   rate_.add(last_input_, messages);
                   store_.append(*entry_, run);
                 },
                 [&](server_event::Skipped& skipped) {
                   if (entry_ == nullptr || finds_no_room()) return;
                   if (skipped.refusal.code != ErrorCode::none) count_refused(skipped.refusal);
                   store_.append(*entry_, skipped);
                 },
                 [&](server_event::Closing& closing) { on_closing(closing.end); },
                 [&](server_event::Confirmed& confirmed) {
                   if (entry_ == nullptr) return;
                   log_.on_closed(world_.now(), *entry_, confirmed.end);
                   if (confirmed.end != Disconnect::End::finish) return let_go(ErrorCode::none);
                   store_.forget(*std::exchange(entry_, nullptr));
                 },
                 [&](server_event::Ended& ended) { on_ended(ended.error, ended.is_remote); },
             },
             event);
}

// What came is let go, unacknowledged: its sender has it, and sends it again on another connection.
bool Peer::finds_no_room() {
  if (session_.wants_finish()) return true;
  const Error* why = store_.no_room(entry_->client_id);
  if (why == nullptr) return false;
  session_.end(*why);
  return true;
}

// PROTOCOL §7.2. After finish everything is to be where people look for it.
void Peer::on_closing(Disconnect::End end) {
  store_.hurry();
  is_closing_ = end == Disconnect::End::finish && entry_ != nullptr && !store_.is_delivered(*entry_);
  if (!is_closing_) session_.settle_close(world_.now());
}

void Peer::on_delivered() {
  if (!std::exchange(is_closing_, false)) return;
  session_.settle_close(world_.now());
  turn();
}

void Peer::count_refused(const Refusal& refusal) {
  ++counters_.refusals;
  ++counters_.refused[refusal.code];
  entry_->last_error = refusal.code;
  log_.on_message_refused(world_.now(), *entry_, refusal.code);
}

void Peer::on_message_refused(const Refusal& refusal) {
  count_refused(refusal);
  session_.note_refusal();
  turn();
}

// Before anything is remembered of whoever it is not.
void Peer::on_hello(const Syn& syn) {
  const std::string host(host_of(log_.address()));
  if (authority_ != nullptr)
    if (const auto why = authority_->check(syn, identity_, host)) return refuse(syn, *why);
  if (const Error* why = store_.no_room(syn.client_id)) return refuse(syn, *why);
  if (const auto admitted = store_.admit(syn, *this)) return on_decided(syn, *admitted);
  asked_ = std::make_unique<Syn>(syn);
}

void Peer::on_admitted(Store::Admitted admitted) {
  const auto syn = std::exchange(asked_, nullptr);
  on_decided(*syn, admitted);
  turn();
}

void Peer::on_decided(const Syn& syn, const Store::Admitted& admitted) {
  if (const Error* error = std::get_if<Error>(&admitted)) return refuse(syn, *error);
  const Admission& admission = std::get<Admission>(admitted);
  entry_ = admission.entry;
  // A session may be older than what is configured, and is what it was begun as.
  const std::string host(host_of(log_.address()));
  if (authority_ != nullptr && syn.resume) {
    Syn begun = syn;
    begun.channel = entry_->channel;
    begun.kind = entry_->kind;
    if (const auto why = authority_->check(begun, identity_, host)) {
      let_go(why->code);
      return refuse(syn, *why);
    }
  }
  counters_.last_refused.clear(entry_->client_id);
  mode_ = admission.terms.mode;
  log_.on_admitted(*entry_, admission.terms);
  if (admission.was_restarted) log_.on_restarted(*entry_);
  if (is_settled()) return accept(admission.terms);
  // PROTOCOL §3.6. The SYN-ACK speaks of all that was received; until that is durable it has to wait.
  if (const Error* trouble = store_.trouble(*entry_)) return refuse(syn, *trouble);
  waiting_ = std::make_unique<Syn>(syn);
}

void Peer::refuse(const Syn& syn, const Error& error) {
  // The same client again and again, and many clients at once: neither fills the log.
  const std::uint64_t times = counters_.last_refused.note(world_.now(), syn.client_id, error.code, log_.address());
  const auto more = times > 0 ? counters_.refused_lines.note(world_.now()) : std::nullopt;
  if (more) log_.on_refused(syn, error, times, *more);
  turn_away(error.code);
  session_.refuse(error);
}

void Peer::accept(const SynAck& terms) {
  const bool has_files = entry_->kind == MessageKind::file;
  session_.accept(world_.now(), {terms, entry_->received, has_files ? kFileWindowBytes : window_bytes_, entry_->kind,
                                 [this](const MessageHeader& header) { return objection(header); }});
}

std::optional<Error> Peer::objection(const MessageHeader& header) {
  if (entry_ == nullptr) return std::nullopt;
  if (authority_ != nullptr)
    if (auto why = authority_->check(entry_->client_id, header)) return why;
  if (header.kind == MessageKind::file && !store_.takes_files()) return Error::of(ErrorCode::files_not_taken);
  if (header.channel.empty() || store_.use_channel(*entry_, header.channel)) return std::nullopt;
  return Error::retry_after(ErrorCode::too_many_channels, kChannelsRetryAfter);
}

void Peer::on_ended(const Error& error, bool is_remote) {
  if (is_refused_ || asked_) return;
  if (waiting_ && error.code == ErrorCode::handshake_timeout) return log_.on_waiting_too_long(*entry_);
  if (!is_opened_) return on_stranger(error);
  if (entry_ == nullptr) return;
  if (!is_remote && error.code != ErrorCode::none) ++counters_.refused[error.code];
  log_.on_lost(world_.now(), *entry_, error, is_remote);
  let_go(error.code);
}

void Peer::on_stranger(const Error& error) {
  if (!log_.has_said_something()) {
    ++counters_.silent_probes;
  } else {
    ++counters_.handshake_failures;
    if (error.code != ErrorCode::none) ++counters_.refused[error.code];
  }
  if (const auto more = counters_.stranger_lines.note(world_.now())) log_.on_stranger(error, *more);
}

ConnectionView Peer::view() {
  const Instant now = world_.now();
  return {log_.address(), log_.since(), last_input_, mode_, rate_.per_second(now), is_reading_};
}

void Peer::on_kicked() {
  if (session_.wants_finish()) return;
  session_.end(Error::retry_after(ErrorCode::kicked, kKickedFor));
  turn();
}

void Peer::on_overload() {
  if (session_.wants_finish()) return;
  store_.note_overload(log_.address());
  if (!is_opened_) turn_away(ErrorCode::overloaded);
  session_.end(Error::retry_after(ErrorCode::overloaded, kOverloadedFor));
  turn();
}

}  // namespace cproto
