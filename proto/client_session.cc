#include "proto/client_session.h"

#include <algorithm>
#include <utility>

#include "proto/assert.h"

namespace cproto {

namespace {

constexpr std::uint32_t kNoPacketSize = 0;

Error unexpected(FrameType type) {
  const char* name = frame_type_name(type);
  return Error::of(ErrorCode::unexpected_frame, 0, name != nullptr ? name : "unknown type");
}
Error malformed(FrameType type) { return Error::of(ErrorCode::malformed_frame, 0, frame_type_name(type)); }

void put(FrameType type, Seq seq, ByteView payload, Bytes& out) { encode_frame(type, to_wire(seq), payload, out); }

}  // namespace

ClientSession::ClientSession(const ClientOptions& options)
    : options_(options), offer_(options.offer), link_(options.transport), sender_(options.sender) {}

void ClientSession::attach(Instant now) {
  CPROTO_ASSERT(state_ == State::detached);
  state_ = State::connecting;
  ++offer_.attempt;
  must_syn_ = true;
  timers_.arm(Timer::syn, now + kSynTimeout);
  if (options_.transport == Transport::datagram) timers_.arm(Timer::repeat, now + kRtoInitial);
  check_invariants();
}

void ClientSession::detach() {
  if (state_ != State::closed) state_ = State::detached;
  link_ = Link(options_.transport);
  sender_.detach();
  timers_.stop_all();
  has_terms_ = is_over_ = false;
  must_syn_ = must_confirm_ = must_confirm_close_ = must_ask_ = must_answer_ = must_disconnect_ = must_tell_error_ =
      false;
  asked_at_.reset();
  closing_.reset();
  paused_.reset();
  check_invariants();
}

void ClientSession::receive(Instant, ByteView input) {
  if (is_over_ || state_ == State::detached || state_ == State::closed) return;
  link_.receive(input);
}

std::optional<ClientEvent> ClientSession::poll_event(Instant now) {
  while (events_head_ == events_.size()) {
    events_.clear();
    events_head_ = 0;
    if (is_over_ || state_ == State::detached || state_ == State::closed) return std::nullopt;
    const Link::Item item = link_.next(now);
    switch (item.kind) {
      case Link::Item::Kind::none: check_invariants(); return std::nullopt;
      case Link::Item::Kind::frame: on_frame(now, item.frame); break;
      case Link::Item::Kind::damaged: on_damaged(); break;
      case Link::Item::Kind::failed: fail(Error::of(item.error)); break;
    }
  }
  return std::move(events_[events_head_++]);
}

// One row a state and frame: tests/unit/session_states_test.cc.
void ClientSession::on_frame(Instant now, const Frame& frame) {
  switch (frame.type) {
    case FrameType::syn_ack: return on_syn_ack(now, frame.payload);
    case FrameType::error: return on_error(frame.payload);
    case FrameType::ack: return on_ack(now, frame.payload);
    case FrameType::disconnect: return on_disconnect(frame.payload);
    case FrameType::keep_alive: return on_keep_alive(now, frame.payload);
    case FrameType::syn:
    case FrameType::data:
    case FrameType::fragment:
    case FrameType::header: break;
  }
  fail(unexpected(frame.type));
}

// PROTOCOL §2.5. It may have been a refusal, and only a SYN-ACK says that again; the rest of what a server says is said
// again anyhow.
void ClientSession::on_damaged() {
  if (options_.transport == Transport::stream) fail(Error::of(ErrorCode::framing_lost));
}

void ClientSession::on_syn_ack(Instant now, ByteView payload) {
  switch (state_) {
    case State::connecting: break;
    case State::established:
    case State::closing:
      // PROTOCOL §3.5. A repeated SYN-ACK means that our confirmation was lost: say it again.
      if (options_.transport == Transport::stream) return fail(unexpected(FrameType::syn_ack));
      must_confirm_ = true;
      return;
    case State::detached:
    case State::closed: return;
  }
  const auto decoded = decode_syn_ack(payload);
  if (const Error* error = std::get_if<Error>(&decoded)) return fail(*error);
  on_terms(now, std::get<SynAck>(decoded));
}

// PROTOCOL §3.6. The session goes on only where the server knows at least what it acknowledged.
void ClientSession::on_terms(Instant now, const SynAck& terms) {
  if (!meets(terms, options_.required))
    return fail(Error::of(ErrorCode::not_durable_enough, 0, durability_text(terms)));
  if (offer_.resume) {
    const Syn::Resume& resume = *offer_.resume;
    if (terms.outcome == SynAck::Outcome::begun || terms.durable_through < resume.acknowledged)
      return fail(Error::of(ErrorCode::store_behind, terms.durable_through.value));
    if (terms.outcome == SynAck::Outcome::resumed && terms.session != resume.session)
      return fail(Error::of(ErrorCode::wrong_session));
    if (terms.outcome == SynAck::Outcome::resumed && terms.store != resume.store)
      return fail(Error::of(ErrorCode::other_store));
    if (terms.outcome == SynAck::Outcome::restarted && terms.durable_through != resume.acknowledged)
      return fail(Error::of(ErrorCode::store_behind, terms.durable_through.value));
  } else if (terms.outcome != SynAck::Outcome::begun || terms.durable_through > Seq{0} || terms.durable_bytes > 0 ||
             terms.durable_messages > 0) {
    return fail(Error::of(ErrorCode::wrong_session));
  }
  if (max_packet_size_ != kNoPacketSize && terms.max_packet_size < max_packet_size_) {
    if (terms.outcome == SynAck::Outcome::resumed)
      return fail(Error::of(ErrorCode::bad_parameter, 4, "max_packet_size shrank"));
    sender_.recut(terms.max_packet_size);
  }
  // A program that was restarted knows only from here whether it was inside a message (PROTOCOL §3.6).
  if (sender_.last_pushed() == Seq{0}) in_message_ = terms.unfinished.has_value();
  if (!sender_.attach(terms)) return fail(Error::of(ErrorCode::store_behind, terms.durable_through.value));
  max_packet_size_ = terms.max_packet_size;
  offer_.resume = Syn::Resume{terms.session, terms.store, sender_.durable_through(), sender_.durable_bytes(),
                              sender_.durable_messages()};
  if (!terms.client_id.empty()) offer_.client_id = terms.client_id;
  state_ = State::established;
  has_terms_ = must_confirm_ = true;
  timers_.stop_all();
  link_.establish(now, kControlPayloadMax, std::chrono::milliseconds(terms.keep_alive_ms));
  emit(client_event::Established{terms});
  for (const Refusal& refusal : terms.refusals) on_refusal(refusal, {});
  watch(now);
}

void ClientSession::on_refusal(const Refusal& refusal, std::string_view sentence) {
  if (refusal.first <= offer_.refusals_heard) return;
  offer_.refusals_heard = refusal.first;
  emit(client_event::Refused{refusal, std::string(sentence)});
}

void ClientSession::on_ack(Instant now, ByteView payload) {
  if (!is_up()) return fail(unexpected(FrameType::ack));
  const std::optional<Ack> ack = decode_ack(payload);
  if (!ack) return fail(malformed(FrameType::ack));
  const Seq durable_before = sender_.durable_through();
  const Sender::AckOutcome outcome = sender_.on_ack(now, *ack);
  if (!outcome.is_valid)
    return fail(Error::of(ErrorCode::malformed_frame, ack->received_through.value, "ACK of what was not sent"));
  if (outcome.is_news) timers_.stop(Timer::repeat);
  for (const Refusal& refusal : ack->refusals) on_refusal(refusal, {});
  if (sender_.durable_through() > durable_before) {
    offer_.resume->acknowledged = sender_.durable_through();
    offer_.resume->acknowledged_bytes = sender_.durable_bytes();
    offer_.resume->acknowledged_messages = sender_.durable_messages();
    emit(client_event::Acked{sender_.durable_through(), sender_.durable_messages()});
  }
  if (ack->is_final && closing_ && sender_.in_flight() == 0) return on_final_ack();
  watch(now);
}

// PROTOCOL §7.2, third step: the confirmation lets the server forget the session.
void ClientSession::on_final_ack() {
  timers_.stop_all();
  must_confirm_close_ = true;
  must_disconnect_ = false;
  is_over_ = true;
  if (*closing_ == Disconnect::End::finish || close_ == Disconnect::End::pause) {
    state_ = State::closed;
    emit(client_event::Closed{});
  } else {
    emit(client_event::Failed{Error::retry_after(ErrorCode::shutting_down, paused_.value_or(0s)), true});
  }
}

void ClientSession::on_error(ByteView payload) {
  const std::optional<Error> error = decode_error(payload);
  if (!error) return fail(malformed(FrameType::error));
  if (is_up() && error->code == ErrorCode::bad_checksum) return on_damage_there({error->number});
  if (is_up() && error->error_class == ErrorClass::never_message) {
    // PROTOCOL §4.6. On datagrams it may have overtaken one that was lost: there the ACK tells them all, in order.
    if (options_.transport == Transport::stream) on_refusal({error->code, {error->number}}, error->sentence);
    return;
  }
  if (error->code == ErrorCode::stale_attempt) offer_.attempt = std::max(offer_.attempt, error->number);
  // PROTOCOL §3.6. A session of which nothing was durable never reached the disk: a new one takes its place.
  if (error->code == ErrorCode::unknown_session && offer_.resume && offer_.resume->acknowledged == Seq{0}) {
    offer_.resume.reset();
    offer_.refusals_heard = {};
    return fail({ErrorCode::unknown_session, ErrorClass::retry_now, 0, 0, error->sentence}, true);
  }
  fail(*error, true);
}

// PROTOCOL §2.5. What was damaged may also have been our DISCONNECT or our ask.
void ClientSession::on_damage_there(Seq next) {
  sender_.on_damaged(next);
  if (closing_) must_disconnect_ = true;
  asked_at_.reset();
}

void ClientSession::on_disconnect(ByteView payload) {
  if (!is_up()) return fail(unexpected(FrameType::disconnect));
  const std::optional<Disconnect> disconnect = decode_disconnect(payload);
  if (!disconnect || disconnect->end != Disconnect::End::pause) return fail(malformed(FrameType::disconnect));
  if (paused_) return;
  paused_ = std::chrono::milliseconds(disconnect->retry_after_ms);
  emit(client_event::Pausing{*paused_});
}

void ClientSession::on_keep_alive(Instant now, ByteView payload) {
  if (!is_up()) return fail(unexpected(FrameType::keep_alive));
  const std::optional<KeepAlive> keep_alive = decode_keep_alive(payload);
  if (!keep_alive) return fail(malformed(FrameType::keep_alive));
  if (*keep_alive == KeepAlive::ask) {
    must_answer_ = true;
    return;
  }
  // PROTOCOL §5.4. On a stream the answer comes behind everything we sent before we asked.
  const bool is_lost = asked_at_ && options_.transport == Transport::stream && sender_.received_through() < *asked_at_;
  asked_at_.reset();
  if (is_lost) return fail(Error::of(ErrorCode::frame_lost, sender_.received_through().next().value));
  watch(now);
}

ClientSession::Sent ClientSession::send(ByteView part, bool is_last) {
  CPROTO_ASSERT(can_send());
  Sent sent;
  while (sender_.has_room() && !sent.is_complete) {
    const ByteView packet =
        part.subspan(sent.bytes).first(std::min<std::size_t>(part.size() - sent.bytes, max_packet_size_));
    const bool ends = sent.bytes + packet.size() == part.size();
    if (!is_last && packet.empty()) return {sent.bytes, true};
    sender_.push(ends && is_last ? FrameType::data : FrameType::fragment, packet, ends && is_last);
    sent.bytes += packet.size();
    sent.is_complete = ends;
    in_message_ = !(ends && is_last);
  }
  return sent;
}

void ClientSession::begin(const MessageHeader& header) {
  CPROTO_ASSERT(can_send() && !in_message_ && header.kind != MessageKind::none);
  Bytes payload;
  encode_message_header(header, payload);
  sender_.push(FrameType::header, payload, false);
  in_message_ = true;
}

void ClientSession::tell_digest(const Digest& digest) {
  CPROTO_ASSERT(can_send() && in_message_);
  Bytes payload;
  encode_message_header({MessageKind::file, {}, {}, digest}, payload);
  sender_.push(FrameType::header, payload, false);
}

void ClientSession::abandon() {
  CPROTO_ASSERT(can_send() && in_message_);
  Bytes payload;
  encode_message_header({}, payload);
  sender_.push(FrameType::header, payload, true);
  in_message_ = false;
}

void ClientSession::close(Disconnect::End end) {
  if (!close_) close_ = end;
}

// PROTOCOL §7.2. DISCONNECT overtakes nothing: it goes out behind the last frame it speaks of.
void ClientSession::begin_closing() {
  if (state_ != State::established || closing_) return;
  const bool has_all = sender_.all_sent();
  if (close_ && has_all) {
    closing_ = *close_;
  } else if (paused_) {
    closing_ = Disconnect::End::pause;
  } else {
    return;
  }
  state_ = State::closing;
  must_disconnect_ = true;
}

void ClientSession::take_output(Instant now, Bytes& out, std::size_t bytes_max) {
  const std::size_t before = out.size();
  Bytes payload;
  if (std::exchange(must_syn_, false)) {
    encode_syn(offer_, payload);
    put(FrameType::syn, {}, payload, out);
  }
  if (std::exchange(must_confirm_, false)) {
    payload.clear();
    encode_confirmation({offer_.resume->session, std::nullopt}, payload);
    put(FrameType::ack, {}, payload, out);
  }
  if (std::exchange(must_confirm_close_, false)) {
    payload.clear();
    encode_confirmation({offer_.resume->session, sender_.durable_through()}, payload);
    put(FrameType::ack, {}, payload, out);
  }
  if (is_up() && !is_over_) take_session_output(now, out, bytes_max);
  if (std::exchange(must_tell_error_, false)) {
    payload.clear();
    encode_error(error_to_tell_, payload);
    put(FrameType::error, {}, payload, out);
  }
  if (out.size() > before) watch(now);
  check_invariants();
}

void ClientSession::take_session_output(Instant now, Bytes& out, std::size_t bytes_max) {
  const std::size_t room = sender_.take_again(now, out, bytes_max);
  if (state_ == State::established && !paused_) sender_.take_new(now, out, room);
  begin_closing();
  Bytes payload;
  if (std::exchange(must_disconnect_, false)) {
    encode_disconnect({*closing_, 0, sender_.sent_through()}, payload);
    put(FrameType::disconnect, {}, payload, out);
  }
  if (std::exchange(must_answer_, false)) put_keep_alive(KeepAlive::answer, out);
  if (room > 0 && std::exchange(must_ask_, false)) {  // behind everything that goes out again
    asked_at_ = sender_.sent_through();
    put_keep_alive(KeepAlive::ask, out);
  }
}

void ClientSession::put_keep_alive(KeepAlive keep_alive, Bytes& out) {
  Bytes payload;
  encode_keep_alive(keep_alive, payload);
  put(FrameType::keep_alive, {}, payload, out);
}

// Whatever an answer is owed for has the repeat timer running behind it.
void ClientSession::watch(Instant now) {
  if (is_up() && !is_over_ && (sender_.in_flight() > 0 || closing_))
    timers_.arm_if_stopped(Timer::repeat, now + sender_.rto());
}

void ClientSession::handle_timeout(Instant now) {
  if (is_over_) return;
  if (timers_.expire(Timer::syn, now)) return fail(Error::of(ErrorCode::handshake_timeout));
  if (timers_.expire(Timer::repeat, now)) on_repeat(now);
  if (!is_up()) return;
  switch (link_.check_silence(now)) {
    case Link::Silence::none: break;
    case Link::Silence::ask: must_ask_ = must_ask_ || may_ask(); break;
    case Link::Silence::gone: return fail(Error::of(ErrorCode::peer_silent));
  }
  check_invariants();
}

// PROTOCOL §5.4. A stream loses nothing, so the timer only asks there; elsewhere what is missing goes out again.
void ClientSession::on_repeat(Instant now) {
  if (state_ == State::connecting) {
    must_syn_ = true;
    timers_.arm(Timer::repeat, now + kRtoInitial);
    return;
  }
  sender_.on_timeout();
  must_ask_ = may_ask();
  if (closing_ && options_.transport == Transport::datagram) must_disconnect_ = true;
  watch(now);
}

// On a stream one ask at a time is enough to be sure.
bool ClientSession::may_ask() const { return !asked_at_ || options_.transport == Transport::datagram; }

void ClientSession::fail(Error error, bool is_remote) {
  if (is_over_) return;
  is_over_ = true;
  timers_.stop_all();
  if (!is_remote) {
    must_tell_error_ = true;
    error_to_tell_ = error;
  }
  emit(client_event::Failed{std::move(error), is_remote});
}

Instant ClientSession::next_deadline() const {
  if (is_over_) return kNever;
  return std::min(timers_.next(), is_up() ? link_.deadline() : kNever);
}

void ClientSession::check_invariants() const {
  switch (state_) {
    case State::detached: CPROTO_ASSERT(timers_.next() == kNever && !closing_ && !has_terms_); break;
    case State::connecting: CPROTO_ASSERT(is_over_ || timers_.is_armed(Timer::syn)); break;
    case State::established: CPROTO_ASSERT(has_terms_ && (offer_.resume || is_over_) && !closing_); break;
    case State::closing: CPROTO_ASSERT(has_terms_ && (offer_.resume || is_over_) && closing_); break;
    case State::closed: CPROTO_ASSERT(timers_.next() == kNever); break;
  }
}

}  // namespace cproto
