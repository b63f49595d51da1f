// The server's end of one connection (PROTOCOL §3 to §7): bytes and time in; bytes, events and the next deadline out.
// What must outlive the connection (position, durability, refusals) is told in events and belongs to the host.
//
//              SYN              accept()               confirmation            DISCONNECT             all durable,
//                                                                              and its last number    settle_close()
//   awaiting_syn ---> deciding -----------> syn_received ----------> established --------> closing -------------->
//   confirming
//        |                |                     |                        |                   |                        |
//        confirmation,
//        +----------------+---------------------+-- error, deadline -----+-------------------+------> closed <--------+
//        end, deadline
//
// Happy path: Hello -> accept, Opened, Received… -> commit…, Closing -> settle_close, Confirmed.
// Failure modes: Ended{error} with what was told to the peer or by it; refuse() in deciding; fence() when a newer
// connection takes the session over.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "proto/bytes.h"
#include "proto/handshake.h"
#include "proto/link.h"
#include "proto/receiver.h"
#include "proto/timers.h"

namespace cproto {

struct ServerOptions {
  Transport transport = Transport::stream;
  Duration handshake_timeout = 10s;
  Duration keep_alive = 20s;
};

// What the host grants on a Hello (PROTOCOL §3.3): the session's own terms and where it stands.
struct Acceptance {
  SynAck terms;  // limits are filled in by the session
  Position received;
  std::uint64_t window_bytes = 4u << 20;
  MessageKind default_kind = MessageKind::text;
  std::function<std::optional<Error>(const MessageHeader& header)> objection = {};  // as of ReceiverOptions
};

namespace server_event {
// Somebody wants a session. Answer with accept() or refuse().
struct Hello {
  Syn syn;
};
// The handshake is complete.
struct Opened {};
// A run of consecutive frames in order, as they came, checksums included. `frames` lives until the next input.
struct Received {
  Seq first;
  std::uint32_t count = 0;
  std::uint64_t payload_bytes = 0;
  bool is_file = false;  // all of it belongs to messages of kind file, or nothing does
  ByteView frames;
  Position after;  // where the session stands behind this run
};
// A frame of a message that is refused: its number counts, its bytes are gone. `refusal` is set on the one that decides
// it.
struct Skipped {
  Seq number;
  std::uint64_t payload_bytes = 0;
  bool ends_message = false;
  Refusal refusal;
  Position after;
};
// The client has sent everything it will on this connection, and all of it was received: settle_close() once it is
// safe.
struct Closing {
  Disconnect::End end = Disconnect::End::finish;
};
// The client has seen the end of the close. After finish the session can be forgotten.
struct Confirmed {
  Disconnect::End end = Disconnect::End::finish;
};
// The connection is over for a reason. `is_remote`: the client said so.
struct Ended {
  Error error;
  bool is_remote = false;
};
}  // namespace server_event

using ServerEvent =
    std::variant<server_event::Hello, server_event::Opened, server_event::Received, server_event::Skipped,
                 server_event::Closing, server_event::Confirmed, server_event::Ended>;

class ServerSession {
 public:
  enum class State : std::uint8_t { awaiting_syn, deciding, syn_received, established, closing, confirming, closed };

  ServerSession(Instant now, const ServerOptions& options);

  // --- inputs: exactly one, then settle() ---
  // `input` stays until the next input.
  void receive(Instant now, ByteView input);
  // The peer closed its sending side. In confirming that is part of the close.
  void receive_end(Instant now);
  void handle_timeout(Instant now);
  // The answers to Hello. Pre: deciding.
  void accept(Instant now, const Acceptance& acceptance);
  void refuse(const Error& error);
  // Everything up to `through` is durable: `bytes` of payload in all, `refusals` newly recorded. Acknowledges.
  void commit(Instant now, Seq through, std::uint64_t bytes, const std::vector<Refusal>& refusals);
  // The host refuses a message that was received; commit() tells it once that is durable.
  void note_refusal();
  // Answers Closing: nothing that was received is missing on disk (nor, after finish, where it belongs).
  void settle_close(Instant now);
  // The server is about to stop: asks the client to pause and to come back.
  void pause(Duration retry_after);
  // Ends the connection with `error`: superseded by a newer one, kicked, overloaded.
  void end(Error error);
  // While the host does not read this connection, it is not timed out.
  void set_reading(bool is_reading);

  // --- outputs ---
  std::optional<ServerEvent> poll_event(Instant now);
  // Appends bytes for the wire. Nothing piles up: at most one ACK, one KEEP-ALIVE and the errors that are due.
  void take_output(Instant now, Bytes& out, std::size_t bytes_max);
  Instant next_deadline() const;
  // The sending side is to be closed once everything taken has been written; reading goes on.
  bool wants_shutdown() const { return state_ == State::confirming && final_was_told_; }
  // The connection is to be closed once everything taken has been written.
  bool wants_finish() const { return state_ == State::closed; }

  // --- questions ---
  State state() const { return state_; }
  // Pre: accepted.
  const Position& received() const { return receiver_->position(); }
  // Kept out of order, at most window_bytes().
  std::uint64_t reordered_bytes() const { return receiver_ ? receiver_->kept_bytes() : 0; }
  std::uint64_t window_bytes() const { return window_bytes_; }
  std::uint64_t duplicates() const { return duplicates_; }
  std::uint64_t damaged() const { return link_.damaged(); }
  // What a stranger said first; lives until the next input.
  ByteView unread() const { return link_.unread(); }

 private:
  enum class Timer : std::uint8_t { handshake, repeat, report, confirm, count };
  // What an input has led to and the host has not polled yet. An idle session has none.
  struct Untold {
    server_event::Received run;  // still growing
    std::vector<ServerEvent> events;
    std::size_t told = 0;  // of the events
  };

  bool is_accepted() const { return receiver_.has_value(); }
  bool takes_frames() const;
  // PROTOCOL §7.2. The final ACK is the last that is said on a stream.
  bool is_mute() const { return final_was_told_ && options_.transport == Transport::stream; }
  void on_frame(Instant now, const Frame& frame);
  void on_syn(const Frame& frame);
  void on_numbered(Instant now, const Frame& frame);
  void on_outcome(const Frame& frame, const Receiver::Outcome& outcome);
  void on_skipped(const Frame& frame, const Receiver::Outcome& outcome);
  Receiver::Verdict take_frame(const Frame& frame);
  void take_kept();
  void on_confirmation(Instant now, ByteView payload);
  void on_disconnect(Instant now, ByteView payload);
  void on_keep_alive(ByteView payload);
  void on_damaged();
  void check_closing();
  void extend_run(const Frame& frame, const Receiver::Outcome& outcome);
  void flush_run();
  void emit(ServerEvent event);
  Untold& untold();
  bool has_events() const { return untold_ && untold_->told < untold_->events.size(); }
  void fail(Error error, bool is_remote = false);
  void close();
  void put_refusals(Bytes& out);
  void put_acknowledgements(Bytes& out);
  Ack make_ack();
  void check_invariants() const;

  ServerOptions options_;
  State state_ = State::awaiting_syn;
  // What take_output() owes the wire.
  bool must_syn_ack_ = false;
  bool must_ack_ = false;
  bool must_ask_ = false;
  bool must_answer_ = false;
  bool must_nak_ = false;
  bool must_pause_ = false;
  bool is_final_ = false;  // the ACK owed is the last of the close
  bool final_was_told_ = false;
  Link link_;
  TimerTable<Timer> timers_;
  std::optional<Receiver> receiver_;
  std::unique_ptr<SynAck> terms_;  // until the client has confirmed them; what counts later is here:
  SessionId session_{};
  std::uint32_t window_size_ = 0;
  std::uint64_t window_bytes_ = 0;
  Seq durable_through_;
  std::uint64_t durable_bytes_ = 0;
  Seq reported_through_;  // the received mark last told
  Seq highest_seen_;      // of the numbers that came on this connection
  std::optional<Disconnect::End> disconnect_;
  Seq close_at_;  // durable through here, the close can be settled
  bool closing_was_told_ = false;
  Duration pause_retry_after_{0};
  std::vector<Refusal> refusals_;     // durable: on a stream still to be told, elsewhere all of this connection
  std::size_t refusals_unheard_ = 0;  // told or to be told, and not shown by a SYN to be heard
  std::unique_ptr<Error> error_to_tell_;
  std::vector<Bytes> kept_frames_;  // owned bytes behind views in events; until the next input
  std::uint64_t duplicates_ = 0;
  std::unique_ptr<Untold> untold_;
};

}  // namespace cproto
