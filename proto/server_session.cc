#include "proto/server_session.h"

#include <algorithm>
#include <utility>

#include "proto/assert.h"

namespace cproto {

namespace {

Error unexpected(FrameType type) {
  const char* name = frame_type_name(type);
  return Error::of(ErrorCode::unexpected_frame, 0, name != nullptr ? name : "unknown type");
}
Error malformed(FrameType type) { return Error::of(ErrorCode::malformed_frame, 0, frame_type_name(type)); }

void put(FrameType type, Seq seq, ByteView payload, Bytes& out) { encode_frame(type, to_wire(seq), payload, out); }

}  // namespace

ServerSession::ServerSession(Instant now, const ServerOptions& options) : options_(options), link_(options.transport) {
  timers_.arm(Timer::handshake, now + options.handshake_timeout);  // one deadline for all of it, not one a byte
}

// --- inputs ---

void ServerSession::receive(Instant, ByteView input) {
  if (state_ == State::closed) return;
  kept_frames_.clear();
  link_.receive(input);
}

void ServerSession::receive_end(Instant) {
  if (state_ == State::closed) return;
  if (state_ == State::confirming) return close();
  state_ = State::closed;
  timers_.stop_all();
  emit(server_event::Ended{{}, true});
}

void ServerSession::accept(Instant now, const Acceptance& acceptance) {
  CPROTO_ASSERT(state_ == State::deciding);
  terms_ = std::make_unique<SynAck>(acceptance.terms);
  SynAck& terms = *terms_;
  if (terms.mode == OperationMode::step_by_step) terms.window_size = 1;  // PROTOCOL §5.1
  terms.keep_alive_ms =
      static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(options_.keep_alive).count());
  window_bytes_ = std::max<std::uint64_t>(acceptance.window_bytes, terms.max_packet_size);
  session_ = terms.session;
  window_size_ = terms.window_size;
  durable_through_ = terms.durable_through;
  durable_bytes_ = terms.durable_bytes;
  reported_through_ = durable_through_;
  refusals_unheard_ = terms.refusals.size();
  terms.refusals.resize(std::min(refusals_unheard_, kRefusalsMax));
  terms.limit_number = durable_through_ + window_size_;
  terms.limit_bytes = durable_bytes_ + window_bytes_;
  receiver_.emplace(ReceiverOptions{.transport = options_.transport,
                                    .window_size = window_size_,
                                    .max_packet_size = terms.max_packet_size,
                                    .reorder_bytes_max = window_bytes_,
                                    .message_size_max = terms.message_size_max,
                                    .file_size_max = acceptance.terms.file_size_max,
                                    .default_kind = acceptance.default_kind,
                                    .objection = acceptance.objection},
                    acceptance.received);
  state_ = State::syn_received;
  must_syn_ack_ = true;
  if (options_.transport == Transport::datagram) timers_.arm(Timer::repeat, now + kRtoInitial);
  check_invariants();
}

void ServerSession::refuse(const Error& error) {
  CPROTO_ASSERT(state_ == State::deciding);
  fail(error);
}

void ServerSession::commit(Instant now, Seq through, std::uint64_t bytes, const std::vector<Refusal>& refusals) {
  if (!is_accepted() || state_ == State::closed) return;
  CPROTO_ASSERT(through >= durable_through_ && through <= received().through);
  durable_through_ = through;
  durable_bytes_ = bytes;
  refusals_.insert(refusals_.end(), refusals.begin(), refusals.end());
  must_ack_ = true;
  timers_.stop(Timer::report);
  if (received().through > durable_through_) timers_.arm(Timer::report, now + kReceivedReportDelay);
}

void ServerSession::settle_close(Instant now) {
  if (state_ != State::closing) return;
  CPROTO_ASSERT(closing_was_told_ && durable_through_ == close_at_);
  state_ = State::confirming;
  timers_.stop_all();
  timers_.arm(Timer::confirm, now + options_.keep_alive);
  must_ack_ = is_final_ = true;
  check_invariants();
}

void ServerSession::pause(Duration retry_after) {
  pause_retry_after_ = retry_after;
  if (state_ == State::established) {
    must_pause_ = true;
  } else if (state_ == State::awaiting_syn || state_ == State::deciding || state_ == State::syn_received) {
    fail(Error::retry_after(ErrorCode::shutting_down, retry_after));
  }
}

void ServerSession::end(Error error) {
  if (state_ != State::closed) fail(std::move(error));
}

void ServerSession::set_reading(bool is_reading) { link_.set_reading(is_reading); }

void ServerSession::handle_timeout(Instant now) {
  if (state_ == State::closed) return;
  if (timers_.expire(Timer::handshake, now)) return fail(Error::of(ErrorCode::handshake_timeout));
  if (timers_.expire(Timer::confirm, now)) return close();
  if (timers_.expire(Timer::repeat, now) && state_ == State::syn_received) {
    must_syn_ack_ = true;
    timers_.arm(Timer::repeat, now + kRtoInitial);
  }
  // PROTOCOL §6.1. A slow disk is not a loss: what was received is said while it waits.
  if (timers_.expire(Timer::report, now)) must_ack_ = must_ack_ || received().through > reported_through_;
  if (!takes_frames() || is_mute()) return;
  switch (link_.check_silence(now)) {
    case Link::Silence::none: break;
    case Link::Silence::ask: must_ask_ = true; break;
    case Link::Silence::gone: return fail(Error::of(ErrorCode::peer_silent));
  }
  check_invariants();
}

// --- frames ---

bool ServerSession::takes_frames() const {
  return state_ == State::established || state_ == State::closing || state_ == State::confirming;
}

std::optional<ServerEvent> ServerSession::poll_event(Instant now) {
  while (!has_events()) {
    if (untold_) {
      untold_->events.clear();
      untold_->told = 0;
    }
    if (state_ == State::closed) {
      untold_.reset();
      return std::nullopt;
    }
    const Link::Item item = link_.next(now);
    switch (item.kind) {
      case Link::Item::Kind::none:
        flush_run();
        if (!has_events()) check_closing();
        if (!has_events()) {
          untold_.reset();
          if (is_accepted() && received().through > std::max(durable_through_, reported_through_))
            timers_.arm_if_stopped(Timer::report, now + kReceivedReportDelay);
          check_invariants();
          return std::nullopt;
        }
        break;
      case Link::Item::Kind::frame: on_frame(now, item.frame); break;
      case Link::Item::Kind::damaged: on_damaged(); break;
      case Link::Item::Kind::failed:
        fail(Error::of(item.error, is_accepted() ? receiver_->expected().value : 0));
        break;
    }
  }
  return std::move(untold_->events[untold_->told++]);
}

// One row a state and frame: tests/unit/session_states_test.cc.
void ServerSession::on_frame(Instant now, const Frame& frame) {
  // PROTOCOL §3. Between SYN and SYN-ACK a client has nothing to say but, where it can be lost, the SYN again.
  if (state_ == State::deciding && frame.type != FrameType::error) {
    if (options_.transport == Transport::stream) fail(unexpected(frame.type));
    return;
  }
  switch (frame.type) {
    case FrameType::data:
    case FrameType::fragment:
    case FrameType::header: return on_numbered(now, frame);
    case FrameType::syn: return on_syn(frame);
    case FrameType::ack: return on_confirmation(now, frame.payload);
    case FrameType::keep_alive: return on_keep_alive(frame.payload);
    case FrameType::disconnect: return on_disconnect(now, frame.payload);
    case FrameType::error: {
      const std::optional<Error> error = decode_error(frame.payload);
      return error ? fail(*error, true) : fail(malformed(FrameType::error));
    }
    case FrameType::syn_ack: break;
  }
  fail(unexpected(frame.type));
}

void ServerSession::on_syn(const Frame& frame) {
  if (state_ != State::awaiting_syn) {
    if (options_.transport == Transport::stream) return fail(unexpected(FrameType::syn));
    must_syn_ack_ = must_syn_ack_ || state_ == State::syn_received;  // our SYN-ACK was lost
    return;
  }
  auto decoded = decode_syn(frame.payload);
  if (const Error* error = std::get_if<Error>(&decoded)) return fail(*error);
  state_ = State::deciding;
  emit(server_event::Hello{std::move(std::get<Syn>(decoded))});
}

// PROTOCOL §3.5, §7.2: the third step of the handshake and the last of a close.
void ServerSession::on_confirmation(Instant now, ByteView payload) {
  if (state_ == State::awaiting_syn) return fail(unexpected(FrameType::ack));
  const std::optional<Confirmation> confirmation = decode_confirmation(payload);
  if (!confirmation) return fail(malformed(FrameType::ack));
  if (confirmation->session != session_) return fail(Error::of(ErrorCode::wrong_session));
  const bool ends = confirmation->closed_at.has_value();
  if (state_ == State::syn_received && !ends) {
    state_ = State::established;
    timers_.stop_all();
    link_.establish(now, terms_->max_packet_size, options_.keep_alive);
    terms_.reset();
    emit(server_event::Opened{});
    if (refusals_unheard_ >= kRefusalsMax) fail(Error::of(ErrorCode::too_many_refusals));
  } else if (state_ == State::confirming && final_was_told_ && ends) {
    if (*confirmation->closed_at != close_at_) return fail(malformed(FrameType::ack));
    emit(server_event::Confirmed{*disconnect_});
    close();
  }
}

void ServerSession::on_numbered(Instant, const Frame& frame) {
  // On a datagram transport data may overtake the confirmation; it comes again.
  if (state_ == State::syn_received && options_.transport == Transport::datagram) return;
  if (!takes_frames()) return fail(unexpected(frame.type));
  const Receiver::Verdict verdict = take_frame(frame);
  if (verdict == Receiver::Verdict::accepted || verdict == Receiver::Verdict::skipped) take_kept();
}

// PROTOCOL §7.2. Behind a DISCONNECT there is nothing new: all up to its last number was waited for, and no more will
// be.
Receiver::Verdict ServerSession::take_frame(const Frame& frame) {
  if (disconnect_ && receiver_->expected() > close_at_ && frame.seq == to_wire(receiver_->expected())) {
    fail(unexpected(frame.type));
    return Receiver::Verdict::broken;
  }
  const Receiver::Outcome outcome = receiver_->on_frame(frame);
  highest_seen_ = std::max(highest_seen_, outcome.number);
  on_outcome(frame, outcome);
  return outcome.verdict;
}

// What was kept out of order follows the frame that closed its gap.
void ServerSession::take_kept() {
  if (options_.transport == Transport::stream) return;
  for (Bytes bytes = receiver_->take_kept(); !bytes.empty() && state_ != State::closed;
       bytes = receiver_->take_kept()) {
    const Bytes& kept = kept_frames_.emplace_back(std::move(bytes));
    const FrameHeader header = decode_header(kept.data());
    const Frame frame{header.type, header.seq, ByteView(kept).subspan(kHeaderSize), kept};
    take_frame(frame);
  }
}

void ServerSession::on_outcome(const Frame& frame, const Receiver::Outcome& outcome) {
  switch (outcome.verdict) {
    case Receiver::Verdict::accepted: return extend_run(frame, outcome);
    case Receiver::Verdict::skipped: return on_skipped(frame, outcome);
    case Receiver::Verdict::duplicate:
      // Already durable is a success: it is acknowledged again. Before that, the batch will tell.
      ++duplicates_;
      must_ack_ = must_ack_ || outcome.number <= durable_through_;
      return;
    case Receiver::Verdict::kept: must_ack_ = true; return;  // the ranges name the gap
    case Receiver::Verdict::dropped:
      // On a stream only damage makes a gap, and that was said.
      if (options_.transport == Transport::stream && link_.damaged() == 0)
        fail(Error::of(ErrorCode::number_out_of_window, outcome.number.value));
      return;
    case Receiver::Verdict::broken: return fail(outcome.error);
  }
}

// PROTOCOL §4.6. A client that is told too many refusals without showing that it heard them must come back and show it.
void ServerSession::on_skipped(const Frame& frame, const Receiver::Outcome& outcome) {
  emit(server_event::Skipped{outcome.number, frame.payload.size(), outcome.ends_message, outcome.refusal,
                             receiver_->position()});
  if (outcome.refusal.code != ErrorCode::none) note_refusal();
}

void ServerSession::note_refusal() {
  if (++refusals_unheard_ >= kRefusalsMax) fail(Error::of(ErrorCode::too_many_refusals));
}

void ServerSession::on_damaged() {
  if (options_.transport == Transport::stream && takes_frames()) must_nak_ = true;
}

void ServerSession::on_keep_alive(ByteView payload) {
  if (!takes_frames()) {
    if (state_ == State::syn_received && options_.transport == Transport::datagram) return;
    return fail(unexpected(FrameType::keep_alive));
  }
  const std::optional<KeepAlive> keep_alive = decode_keep_alive(payload);
  if (!keep_alive) return fail(malformed(FrameType::keep_alive));
  if (*keep_alive == KeepAlive::answer) return;
  must_answer_ = must_ack_ = true;  // the ACK says what the asker wants to know
}

void ServerSession::on_disconnect(Instant, ByteView payload) {
  if (!takes_frames()) {
    if (state_ == State::syn_received && options_.transport == Transport::datagram) return;
    return fail(unexpected(FrameType::disconnect));
  }
  const std::optional<Disconnect> disconnect = decode_disconnect(payload);
  if (!disconnect || disconnect->last < highest_seen_) return fail(malformed(FrameType::disconnect));
  if (disconnect_) {
    must_ack_ = true;  // said again: the final ACK was lost, or is still to come
    return;
  }
  disconnect_ = disconnect->end;
  // What came on an earlier connection need not have come again on this one, and is waited for all the same.
  close_at_ = std::max(disconnect->last, received().through);
  state_ = State::closing;
}

// PROTOCOL §7.2. DISCONNECT overtakes nothing: its last number is waited for, received and durable.
void ServerSession::check_closing() {
  if (state_ != State::closing || closing_was_told_ || durable_through_ != close_at_) return;
  closing_was_told_ = true;
  emit(server_event::Closing{*disconnect_});
}

// --- events ---

void ServerSession::extend_run(const Frame& frame, const Receiver::Outcome& outcome) {
  server_event::Received& run = untold().run;
  const bool adjoins = run.count > 0 && run.frames.data() + run.frames.size() == frame.whole.data();
  if (!adjoins || run.is_file != outcome.is_file) {
    flush_run();
    run.first = outcome.number;
    run.is_file = outcome.is_file;
    run.frames = frame.whole;
  } else {
    run.frames = {run.frames.data(), run.frames.size() + frame.whole.size()};
  }
  ++run.count;
  run.payload_bytes += frame.payload.size();
  run.after = receiver_->position();
}

void ServerSession::flush_run() {
  if (untold_ && untold_->run.count > 0) untold_->events.emplace_back(std::exchange(untold_->run, {}));
}

void ServerSession::emit(ServerEvent event) {
  flush_run();
  untold().events.push_back(std::move(event));
}

ServerSession::Untold& ServerSession::untold() {
  if (!untold_) untold_ = std::make_unique<Untold>();
  return *untold_;
}

void ServerSession::fail(Error error, bool is_remote) {
  if (state_ == State::closed) return;
  state_ = State::closed;
  timers_.stop_all();
  if (!is_remote) error_to_tell_ = std::make_unique<Error>(error);
  emit(server_event::Ended{std::move(error), is_remote});
}

void ServerSession::close() {
  state_ = State::closed;
  timers_.stop_all();
}

// --- outputs ---

// PROTOCOL §4.6. A datagram may be lost: there every ACK repeats all refusals that one before it may have told.
Ack ServerSession::make_ack() {
  reported_through_ = received().through;
  Ack ack{.durable_through = durable_through_,
          .received_through = received().through,
          .limit_number = durable_through_ + window_size_,
          .limit_bytes = durable_bytes_ + window_bytes_,
          .is_final = is_final_,
          .ranges = {},
          .refusals = {}};
  if (options_.transport == Transport::datagram) {
    ack.ranges = receiver_->ranges();
    ack.refusals = refusals_;
  }
  return ack;
}

// PROTOCOL §4.6. A stream loses nothing: there each refusal goes once, before the ACK that passes its number.
void ServerSession::put_refusals(Bytes& out) {
  Bytes payload;
  for (const Refusal& refusal : std::exchange(refusals_, {})) {
    payload.clear();
    encode_error(Error::of(refusal.code, refusal.first.value), payload);
    put(FrameType::error, refusal.first, payload, out);
  }
}

void ServerSession::put_acknowledgements(Bytes& out) {
  if (options_.transport == Transport::stream) put_refusals(out);
  Bytes payload;
  if (std::exchange(must_nak_, false)) {
    payload.clear();
    encode_error(Error::of(ErrorCode::bad_checksum, receiver_->expected().value), payload);
    put(FrameType::error, receiver_->expected(), payload, out);
  }
  if (std::exchange(must_ack_, false)) {
    payload.clear();
    encode_ack(make_ack(), payload);
    put(FrameType::ack, durable_through_, payload, out);
    final_was_told_ = is_final_;
  }
}

void ServerSession::take_output(Instant, Bytes& out, std::size_t) {
  Bytes payload;
  if (std::exchange(must_syn_ack_, false) && state_ == State::syn_received) {
    encode_syn_ack(*terms_, payload);
    put(FrameType::syn_ack, {}, payload, out);
  }
  if (takes_frames() && !is_mute()) {
    put_acknowledgements(out);
    for (const auto& [must, kind] : {std::pair{&must_answer_, KeepAlive::answer}, {&must_ask_, KeepAlive::ask}}) {
      if (!std::exchange(*must, false)) continue;
      payload.clear();
      encode_keep_alive(kind, payload);
      put(FrameType::keep_alive, {}, payload, out);
    }
    if (std::exchange(must_pause_, false)) {
      payload.clear();
      const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(pause_retry_after_).count();
      encode_disconnect({Disconnect::End::pause, static_cast<std::uint32_t>(ms), {}}, payload);
      put(FrameType::disconnect, {}, payload, out);
    }
  }
  if (const auto error = std::exchange(error_to_tell_, nullptr); error && !is_mute()) {
    payload.clear();
    encode_error(*error, payload);
    put(FrameType::error, {}, payload, out);
  }
  check_invariants();
}

Instant ServerSession::next_deadline() const {
  return state_ == State::closed ? kNever
                                 : std::min(timers_.next(), takes_frames() && !is_mute() ? link_.deadline() : kNever);
}

void ServerSession::check_invariants() const {
  switch (state_) {
    case State::awaiting_syn:
    case State::deciding: CPROTO_ASSERT(timers_.is_armed(Timer::handshake) && !is_accepted()); break;
    case State::syn_received: CPROTO_ASSERT(timers_.is_armed(Timer::handshake) && is_accepted()); break;
    case State::established: CPROTO_ASSERT(is_accepted() && !disconnect_ && !timers_.is_armed(Timer::handshake)); break;
    case State::closing: CPROTO_ASSERT(disconnect_ && close_at_ >= durable_through_); break;
    case State::confirming: CPROTO_ASSERT(disconnect_ && timers_.is_armed(Timer::confirm)); break;
    case State::closed: CPROTO_ASSERT(timers_.next() == kNever); break;
  }
}

}  // namespace cproto
