#include "daemon/peer.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "daemon/session_name.h"
#include "proto/assert.h"

namespace cproto {

namespace {

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

constexpr std::size_t kFirstBytes = 16;

std::string seconds(Duration duration) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", std::chrono::duration<double>(duration).count());
  return text;
}

bool looks_like_http(std::string_view first) {
  for (const char* method : {"GET ", "POST ", "HEAD ", "PUT ", "OPTIONS ", "CONNECT ", "DELETE ", "PRI * HTTP"})
    if (first.starts_with(std::string_view(method).substr(0, first.size())) && first.size() >= 4) return true;
  return false;
}

}  // namespace

Peer::Peer(Instant now, Store& store, Wire& wire, Log& log, PeerCounters& counters, const World& world,
           std::string address, const ServerOptions& options, std::uint64_t window_bytes)
    : store_(store),
      wire_(wire),
      log_(log),
      counters_(counters),
      world_(world),
      address_(std::move(address)),
      session_(now, options),
      window_bytes_(window_bytes),
      since_(now) {}

Peer::~Peer() {
  if (entry_ != nullptr) store_.release(*entry_, *this);
}

void Peer::turn() {
  if (std::exchange(in_turn_, true)) return;  // settle() is under way and sees to it
  settle(world_.now(), session_, *this);
  in_turn_ = false;
}

void Peer::receive(ByteView input) {
  if (first_bytes_.size() < kFirstBytes && !is_opened_)
    first_bytes_ += as_text(input.first(std::min(input.size(), kFirstBytes - first_bytes_.size())));
  has_received_ = true;
  session_.receive(world_.now(), input);
  turn();
  if (store_.room() == 0) on_full();
}

void Peer::on_full() {
  if (!is_reading_ || session_.wants_finish()) return;
  if (const Error* trouble = store_.trouble()) return on_trouble(*trouble);
  is_reading_ = false;
  session_.set_reading(world_.now(), false);
  wire_.set_reading(false);
}

void Peer::on_lost() {
  if (session_.wants_finish()) return;
  session_.receive_end(world_.now());
  while (auto event = session_.poll_event(world_.now())) on_event(*event);
  if (entry_ != nullptr) store_.release(*std::exchange(entry_, nullptr), *this);
}

void Peer::on_room() {
  if (is_reading_ || session_.wants_finish()) return;
  is_reading_ = true;
  session_.set_reading(world_.now(), true);
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

void Peer::on_writable() { turn(); }

void Peer::pause(Duration retry_after) {
  session_.pause(retry_after);
  turn();
}

void Peer::on_committed() {
  if (waiting_) {
    entry_->refusals_to_tell.clear();  // the SYN-ACK says them
    if (is_settled()) accept(store_.registry().resumed_terms(*std::exchange(waiting_, std::nullopt), *entry_));
    return turn();
  }
  session_.commit(world_.now(), entry_->durable.through, entry_->durable.bytes,
                  std::exchange(entry_->refusals_to_tell, {}));
  turn();
}

void Peer::on_superseded() {
  log_.info(entry_->client_id + " (" + address_ + "): a newer connection took session " + short_name(entry_->id) +
            " over");
  entry_ = nullptr;  // before anything else of this connection can touch it
  session_.end(Error::of(ErrorCode::superseded));
  turn();
}

// Told to come back rather than left waiting: so its user learns why. What it was told of a message stays true.
void Peer::on_trouble(const Error& trouble) {
  if (session_.wants_finish()) return;
  if (!is_opened_) {
    is_refused_ = true;
    ++counters_.handshake_failures;
  }
  session_.end(trouble);
  turn();
}

void Peer::finish() {
  counters_.duplicates += session_.duplicates();
  counters_.damaged_frames += session_.damaged();
  if (entry_ != nullptr) store_.release(*std::exchange(entry_, nullptr), *this);
  wire_.finish();
}

void Peer::on_event(ServerEvent& event) {
  std::visit(Overloaded{
                 [&](server_event::Hello& hello) { on_hello(hello.syn); },
                 [&](server_event::Opened&) {
                   is_opened_ = true;
                   ++counters_.sessions;
                 },
                 [&](server_event::Received& run) {
                   if (entry_ == nullptr) return;  // fenced in this very turn
                   counters_.payload_bytes += run.payload_bytes;
                   counters_.messages += run.after.messages - entry_->appended.messages;
                   store_.append(*entry_, run);
                 },
                 [&](server_event::Skipped& skipped) {
                   if (entry_ == nullptr) return;
                   if (skipped.refusal.code != ErrorCode::none) {
                     ++counters_.refusals;
                     log_.warn(entry_->client_id + " (" + address_ + "): a message was refused (" +
                               error_name(skipped.refusal.code) + ")");
                   }
                   store_.append(*entry_, skipped);
                 },
                 [&](server_event::Closing&) { session_.settle_close(world_.now()); },
                 [&](server_event::Confirmed& confirmed) {
                   if (entry_ == nullptr) return;
                   const bool is_finished = confirmed.end == Disconnect::End::finish;
                   log_session(is_finished ? "finished" : "paused");
                   SessionEntry& entry = *std::exchange(entry_, nullptr);
                   is_finished ? store_.forget(entry) : store_.release(entry, *this);
                 },
                 [&](server_event::Ended& ended) { on_ended(ended.error, ended.is_remote); },
             },
             event);
}

void Peer::on_hello(const Syn& syn) {
  auto admitted = store_.admit(syn, *this);
  if (const Error* error = std::get_if<Error>(&admitted)) return refuse(syn, *error);
  Admission& admission = std::get<Admission>(admitted);
  entry_ = admission.entry;
  begin_ = entry_->appended;
  if (admission.was_restarted)
    log_.warn(entry_->client_id + " (" + address_ + "): its session is not known here; going on behind number " +
              std::to_string(begin_.through.value) + ". What was acknowledged before may be missing, or there twice");
  if (is_settled()) return accept(admission.terms);
  // PROTOCOL §3.6. The SYN-ACK speaks of all that was received; until that is durable it has to wait.
  if (const Error* trouble = store_.trouble()) return refuse(syn, *trouble);
  waiting_ = syn;
}

void Peer::refuse(const Syn& syn, const Error& error) {
  log_.warn((syn.client_id.empty() ? "a client" : syn.client_id) + " (" + address_ +
            ") is refused: " + error_name(error.code));
  ++counters_.handshake_failures;
  is_refused_ = true;
  session_.refuse(error);
}

void Peer::accept(const SynAck& terms) {
  session_.accept(world_.now(), {terms, entry_->appended, window_bytes_, entry_->kind});
}

void Peer::on_ended(const Error& error, bool is_remote) {
  if (is_refused_) return;
  if (waiting_ && error.code == ErrorCode::handshake_timeout)
    return log_.warn(entry_->client_id + " (" + address_ +
                     ") comes back, but what it sent before is not on disk yet; closed, it will try again");
  if (!is_opened_) return log_stranger(error);
  if (entry_ == nullptr) return;
  const std::string who = is_remote ? "the client: " : "";
  log_session(error.code == ErrorCode::none ? "connection lost" : who + error_name(error.code) + ", " + error.sentence);
}

// USER.md, "Messages": one line at most for whoever never became a client.
void Peer::log_stranger(const Error& error) {
  if (!has_received_) {
    ++counters_.silent_probes;
    if (error.code == ErrorCode::none) return log_.debug(address_ + " connected and closed without a word");
    return log_.info(address_ + " connected and said nothing; closed");
  }
  ++counters_.handshake_failures;
  if (looks_like_http(first_bytes_)) return log_.info(address_ + " speaks HTTP, not cproto; closed");
  if (first_bytes_[0] == 0x16) return log_.info(address_ + " speaks TLS, which is not configured here; closed");
  if (error.code == ErrorCode::none) return log_.info(address_ + " went away in the handshake");
  log_.info(address_ + " is no client: " + error_name(error.code) + ", " + error.sentence + "; closed");
}

void Peer::log_session(const std::string& how) {
  const Duration lasted = world_.now() - since_;
  log_.info(entry_->client_id + " (" + address_ + ") session " + short_name(entry_->id) + ": " +
            std::to_string(entry_->appended.messages - begin_.messages) + " messages, " +
            std::to_string(entry_->appended.bytes - begin_.bytes) + " bytes in " + seconds(lasted) + "; " + how);
}

}  // namespace cproto
