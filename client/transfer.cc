#include "client/transfer.h"

#include <algorithm>
#include <utility>

#include "client/recall.h"
#include "proto/turn.h"

namespace cproto::client {

namespace {

constexpr Duration kDefaultTimeout = 10min;
constexpr Duration kStopTimeout = 10s;  // a signal waits so long for what was read to be durable
constexpr Duration kStallAfter = 30s;   // connected, and nothing becomes durable
constexpr Duration kTick = 1s;
constexpr Duration kTickOnTerminal = 250ms;
constexpr std::size_t kGreetingMax = 128;

ClientOptions session_options(const Options& options, const std::optional<SavedTransfer>& saved) {
  ClientOptions session;
  session.offer.mode = options.mode;
  session.offer.max_packet_size = options.max_packet_size;
  session.offer.window_size = options.window_size;
  session.offer.attempt = saved ? saved->attempt : 0;
  session.offer.client_id = options.client_id;
  if (saved) session.offer.resume = saved->session;
  if (saved) session.offer.refusals_heard = saved->refusals_heard;
  session.offer.channel = options.channel;
  session.offer.kind = options.kind;
  session.required = options.required;
  session.offer.software = "cproto-send " CPROTO_VERSION;
  return session;
}

Duration timeout_of(const Options& options, const Source& source) {
  if (options.timeout) return *options.timeout;
  return source.is_lost_by_giving_up() ? Duration(0) : kDefaultTimeout;
}

}  // namespace

// What settle() sees of us.
struct Transfer::Host {
  Transfer& self;
  Instant now;
  Bytes* buffer = nullptr;

  void on_event(ClientEvent& event) {
    std::visit([this](const auto& what) { self.on_event(now, what); }, event);
  }
  bool can_write() { return self.state_ == State::connected && self.network_.can_write(); }
  Bytes& write_buffer() { return *(buffer = &self.network_.write_buffer()); }
  void write() {
    if (self.trace_) self.trace_(self.tracer_.sent(now, *buffer));
    self.network_.write();
  }
  void set_deadline(Instant at) {
    if (self.state_ != State::over) self.timers_.arm(Timer::session, at);
  }
  void shut_down() {}
  void finish() { self.network_.finish(); }
};

Transfer::Transfer(Network& network, Instant now, const Options& options, Source& source, Tally& tally,
                   Progress& progress, Random random, TransferState* state, std::optional<SavedTransfer> saved,
                   TraceSink trace)
    : network_(network),
      options_(options),
      source_(source),
      tally_(tally),
      progress_(progress),
      memory_(state),
      trace_(std::move(trace)),
      tracer_(now),
      session_(session_options(options, saved)),
      shipper_(
          session_, source, tally, progress,
          state == nullptr ? Shipper::OnBookmark() : [this](bool must_last) {
            has_bookmark_ = true;
            has_detour_ = has_detour_ || must_last;
          }),
      servers_(options.servers, random),
      start_(now),
      last_progress_(start_),
      timeout_(timeout_of(options, source)) {
  if (!saved) return;
  saved_ = *saved;
  shipper_.restore(saved->bookmarks, saved->problems);
}

// --- inputs ---

void Transfer::start(Instant now) {
  // Until a server is reached a log may be rotated, and this program be ended.
  const bool is_first = !saved_.session && saved_.bookmarks.empty();
  if (options_.is_endless() && is_first) shipper_.note_start();
  save_bookmarks(now);
  if (state_ == State::over) return rest();
  connect();
  tick(now);
  rest();
}

void Transfer::wake(Instant now) {
  if (state_ == State::connected) turn(now);
  rest();
}

void Transfer::handle_timeout(Instant now) {
  if (timers_.expire(Timer::session, now)) {
    session_.handle_timeout(now);
    turn(now);
  }
  if (timers_.expire(Timer::retry, now)) connect();
  if (timers_.expire(Timer::tick, now)) tick(now);
  if (timers_.expire(Timer::stop, now)) finish(now);
  rest();
}

// Behind every input: until the next one, or then.
void Transfer::rest() { network_.set_deadline(timers_.next()); }

// --- connections ---

void Transfer::connect() {
  state_ = State::connecting;
  network_.connect(servers_.current(), servers_.rotation());
}

void Transfer::on_connected(Instant now, const std::string& address, const Congestion& congestion) {
  state_ = State::connected;
  where_ = place(servers_.current(), address);
  greeting_.clear();
  failure_.reset();
  is_established_ = false;
  tracer_.restart();
  note_congestion(congestion);
  attached_at_ = now;
  // Once the server has seen that they are heard it speaks of them no more: only we know of them then.
  if (session_.offer().refusals_heard > saved_.refusals_heard) save(now, true);
  if (state_ == State::over) return rest();
  session_.attach(now);
  turn(now);
  rest();
}

// Whoever named one hears that it is refused; "auto" has asked on its own account.
void Transfer::note_congestion(const Congestion& congestion) {
  const bool is_news = congestion.refused != std::exchange(outcome_.congestion, congestion).refused;
  if (is_news && congestion.refused == options_.congestion)
    progress_.on_note("congestion control " + congestion_clause(congestion));
}

void Transfer::on_unreachable(Instant now, const Unreachable& why) {
  on_trouble(now, unreachable(servers_.current(), why));
  rest();
}

void Transfer::on_writable(Instant now) {
  turn(now);
  rest();
}

void Transfer::on_bytes(Instant now, ByteView bytes) {
  if (!is_established_) append(greeting_, bytes.first(std::min(bytes.size(), kGreetingMax - greeting_.size())));
  if (trace_) trace_(tracer_.received(now, bytes));
  session_.receive(now, bytes);
  turn(now);
  rest();
}

// One input was given to the session: its events, its bytes; then more messages, as long as there is room for them.
void Transfer::turn(Instant now) {
  Host host{*this, now, nullptr};
  settle(now, session_, host);
  if (!awaits_anything()) last_progress_ = now;  // what comes now begins to wait now
  while (state_ == State::connected && !failure_) {
    const bool has_moved = shipper_.pump();
    save_bookmarks(now);  // before anything more goes out
    if (!has_moved || state_ != State::connected) break;
    settle(now, session_, host);
  }
}

void Transfer::on_gone(Instant now, const std::string& reason, const TlsTrouble& tls) {
  timers_.stop(Timer::session);
  if (is_closed_) {  // everything is durable, and where it belongs
    finish(now);
    return rest();
  }
  const Trouble trouble = describe_loss(reason, tls);
  tls_trouble_ = tls.kind;
  if (!is_established_) servers_.rotate();
  session_.detach();
  on_trouble(now, trouble);
  rest();
}

Trouble Transfer::describe_loss(const std::string& reason, const TlsTrouble& tls) const {
  const bool is_told = failure_ && failure_->is_remote;
  if (!is_established_ && !is_told && !greeting_.empty() && !looks_like_cproto(greeting_)) {
    Trouble trouble = not_cproto(where_, greeting_);
    // In the middle of a transfer it may be what stands in for a server that restarts.
    trouble.is_final = !was_established_;
    return trouble;
  }
  const auto& resume = session_.offer().resume;
  if (failure_) {
    Trouble trouble = failed(where_, failure_->error, is_told, resume ? &resume->store : nullptr);
    // No checksum tells a length that was damaged on the way. Both sides have kept to what was agreed before.
    if (failure_->error.code == ErrorCode::frame_too_large && was_established_) trouble.is_final = false;
    return trouble;
  }
  if (tls.kind != TlsTrouble::Kind::none && tls.kind != TlsTrouble::Kind::closed) {
    Trouble trouble = tls_failed(where_, tls, is_established_);
    // What nobody has vouched for may be damage on the way, once; or what stands in for a server that restarts.
    using Kind = TlsTrouble::Kind;
    const bool is_proven = tls.kind != Kind::not_tls && tls.kind != Kind::old_version && tls.kind != Kind::key_unknown;
    if (!is_proven && tls_trouble_ != tls.kind) trouble.is_final = false;
    if (tls.kind == Kind::not_tls && was_established_) trouble.is_final = false;
    return trouble;
  }
  return lost(where_, reason, is_established_);
}

// --- events of the session ---

void Transfer::on_event(Instant now, const client_event::Established& event) {
  if (was_established_) ++outcome_.reconnects;
  is_established_ = was_established_ = was_reached_ = true;
  failures_ = 0;
  outcome_.where = where_;
  outcome_.terms = event.terms;
  outcome_.round_trip = now - attached_at_;
  const std::uint64_t durable_before = tally_.durable;
  const bool is_new = !saved_.session || event.terms.session != saved_.session->session;
  shipper_.on_terms(event.terms);
  progress_.on_established(where_, event.terms, outcome_.congestion);
  if (tally_.durable > durable_before) last_progress_ = now;
  if (!awaits_anything()) {
    last_progress_ = now;  // what comes now begins to wait now
    progress_.on_durable(now, where_);
  }
  if (!is_new) return;
  // Before anything of it is sent: a run that knows nothing of the session would send it again in another. Together
  // with the bookmark in front of the first message, which has to last, too.
  has_bookmark_ = has_detour_ = true;
  shipper_.pump();
  save_bookmarks(now);
}

void Transfer::on_event(Instant now, const client_event::Acked& event) {
  shipper_.on_acked(event);
  // From now on it belongs to this server and no other, whatever becomes of us.
  const bool is_first = saved_.session && saved_.session->acknowledged == Seq{0};
  if (is_first && options_.servers.size() > 1) save(now, true);
  servers_.on_durable();
  last_progress_ = now;
  was_reached_ = false;
  must_save_ = true;
  progress_.on_durable(now, where_);
}

void Transfer::on_event(Instant, const client_event::Refused& event) { shipper_.on_refused(event); }

void Transfer::on_event(Instant, const client_event::Pausing&) {}

void Transfer::on_event(Instant, const client_event::Failed& event) { failure_ = event; }

void Transfer::on_event(Instant now, const client_event::Closed&) {
  is_closed_ = true;
  // PROTOCOL §7.2. Before the confirmation goes out: from then on the server does not know the session.
  if (memory_ != nullptr && !session_.is_paused())
    if (const int error = memory_->remove())
      progress_.on_note(cannot_write(options_, error) + "; --restart sends this again");
  progress_.on_durable(now, where_);
  // What was to be read could not be, and nobody told it to stop.
  if (session_.is_paused() && outcome_.signal == 0 && outcome_.sentence.empty())
    outcome_.sentence =
        durable_clause(tally_, source_.total(), source_.noun()) + " durable; the same command continues";
}

// --- what is done about trouble ---

void Transfer::on_trouble(Instant now, const Trouble& trouble) {
  trouble_ = trouble;
  state_ = State::waiting;
  unknown_hosts_ = trouble.status == Status::no_host ? unknown_hosts_ + 1 : 0;
  ++failures_;
  if (failures_ > 1) trouble_.comes_back_at_once = false;  // something is wrong after all
  if (trouble.is_final || is_hopeless(trouble)) return end(now, trouble.status, with_count(trouble.sentence));
  if (outcome_.signal != 0 && shipper_.is_settled()) return finish(now);
  const bool may_turn = session_.sender().durable_through() == Seq{0};
  const ServerAddress failed = servers_.current();
  const Duration wait = trouble_.comes_back_at_once ? Duration(0) : servers_.on_failure(now, may_turn, trouble.pause);
  const std::string next = servers_.current() == failed ? "" : to_string(servers_.current());
  progress_.on_trouble(now, trouble_, wait, next, source_.holds_writer());
  timers_.arm(Timer::retry, now + wait);
}

std::string Transfer::with_count(const std::string& sentence) const {
  if (tally_.durable == 0) return sentence;
  return with_clause(sentence, durable_clause(tally_, source_.total(), source_.noun()) + " durable");
}

// Waiting would change nothing, or nobody wants to wait.
bool Transfer::is_hopeless(const Trouble& trouble) const {
  if (options_.job == Options::Job::check) return !options_.timeout && failures_ >= servers_.size();
  return trouble.status == Status::no_host && unknown_hosts_ >= servers_.size() && !was_established_ &&
         !source_.is_lost_by_giving_up();
}

// Something is waiting to become durable; or there is no session to ask whether it is.
bool Transfer::awaits_anything() const {
  if (session_.state() != ClientSession::State::established) return true;
  return session_.sender().last_pushed() > session_.sender().durable_through();
}

void Transfer::tick(Instant now) {
  if (!awaits_anything()) last_progress_ = now;
  if (std::exchange(must_save_, false)) save(now, false);
  if (timeout_ > 0ns && now - last_progress_ >= timeout_) return give_up(now);
  if (is_established_ && state_ == State::connected && now - last_progress_ >= kStallAfter)
    progress_.on_stall(now, where_, last_progress_, source_.holds_writer());
  progress_.tick(now);
  Duration next = progress_.is_animated() ? kTickOnTerminal : kTick;
  if (timeout_ > 0ns) next = std::min(next, last_progress_ + timeout_ - now);
  timers_.arm(Timer::tick, now + next);
}

void Transfer::save_bookmarks(Instant now) {
  if (std::exchange(has_bookmark_, false)) save(now, std::exchange(has_detour_, false) || options_.is_endless());
}

// What a later run of the same command needs.
void Transfer::save(Instant now, bool must_last) {
  if (memory_ == nullptr || !memory_->is_open()) return;
  const Syn& offer = session_.offer();
  saved_.session = offer.resume;
  saved_.attempt = offer.attempt;
  saved_.refusals_heard = offer.refusals_heard;
  saved_.client_id = offer.client_id;
  saved_.bookmarks = shipper_.bookmarks().all();
  saved_.problems = tally_.problems;
  for (const Tally::Refused& refused : tally_.refused_named)
    saved_.problems.push_back({Status::data_error, refused.name + ": " + refused.reason});
  const int error = memory_->save(saved_, must_last);
  // Of what need not last, the one before leads to the same place.
  if (error != 0 && must_last) forget(now, error);
}

// What was remembered would lead a later run astray from here on: better it has nothing. A log that is followed is not
// gone on with: the next run has what was remembered, and nothing was sent behind that.
void Transfer::forget(Instant now, int error) {
  if (!options_.is_endless() && memory_->remove() == 0) return progress_.on_note(cannot_remember(options_, error));
  end(now, Status::cant_create,
      with_count(cannot_write(options_, error)) + (memory_->is_open() ? "" : "; the same command begins anew"));
}

void Transfer::give_up(Instant now) {
  const bool is_up = state_ == State::connected && is_established_;
  Status status = trouble_.status;
  if (is_up || (was_reached_ && status == Status::unavailable)) status = Status::temp_fail;
  std::string reason = trouble_.reason;
  if (state_ == State::connected) reason = "connected to " + where_ + (is_up ? "" : ", but no SYN-ACK");
  if (reason.empty()) reason = to_string(servers_.current()) + " does not answer";
  end(now, status,
      "nothing became durable for " + human_time(timeout_) + (reason.empty() ? "" : " (" + reason + ")") + "; " +
          durable_clause(tally_, source_.total(), source_.noun()) +
          (memory_ != nullptr ? "; the same command continues" : ""));
}

void Transfer::interrupt(Instant now, int signal) {
  if (state_ == State::over) return;
  if (outcome_.signal != 0) return finish(now);
  outcome_.signal = signal;
  shipper_.stop();
  const bool is_up = state_ == State::connected && is_established_;
  // What a later run goes on with need not be waited for.
  const bool is_kept = memory_ != nullptr && source_.can_continue();
  if (!is_up && (is_kept || shipper_.is_settled())) return finish(now);
  timers_.arm(Timer::stop, now + kStopTimeout);
  if (state_ == State::connected) turn(now);
  rest();
}

// --- the end ---

void Transfer::end(Instant now, Status status, std::string sentence) {
  outcome_.causes.add(status);
  outcome_.sentence = std::move(sentence);
  finish(now);
}

void Transfer::finish(Instant now) {
  if (state_ == State::over) return;
  state_ = State::over;
  if (tally_.refused > 0) outcome_.causes.add(Status::data_error);
  for (const Problem& problem : tally_.problems) outcome_.causes.add(problem.status);
  // One that pauses comes back, and has to know by then what it was told last: the store may be another.
  if (!is_closed_ || session_.is_paused()) save(now, false);
  const bool is_begun = session_.offer().resume || !shipper_.bookmarks().all().empty();
  if (memory_ != nullptr && !is_begun) (void)memory_->remove();
  outcome_.retransmitted = session_.sender().retransmitted();
  outcome_.lasted = now - start_;
  timers_.stop_all();
  session_.detach();  // what it has not looked at yet goes with the connection
  network_.on_over();
}

}  // namespace cproto::client
