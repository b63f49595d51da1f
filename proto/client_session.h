// The client's end of a session (PROTOCOL §3 to §7): bytes and time in; bytes, events and the next deadline out. It
// outlives connections: attach() when one is there, detach() when it is gone, and what is not durable goes out again on
// the next.
//
//            attach            SYN-ACK                close, all sent          final ACK
//   detached ------> connecting ------> established ------------------> closing --------> closed
//      ^                 |                   |                             |
//      +--- detach ------+-------------------+-----------------------------+
//
// Happy path: attach, Established, send…, Acked…, close(finish), Closed.
// Failure modes: Failed{error} says why a connection must end; the host closes it, calls detach(), and decides by the
// error's class whether to come back. unknown_session with nothing acknowledged is mended here: the next attach begins
// anew.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "proto/bytes.h"
#include "proto/handshake.h"
#include "proto/link.h"
#include "proto/message.h"
#include "proto/sender.h"
#include "proto/timers.h"

namespace cproto {

struct ClientOptions {
  Transport transport = Transport::stream;
  Syn offer;  // attempt is the one before the first; resume, where an earlier command's session goes on
  SenderOptions sender;
  Require required = Require::any;
};

namespace client_event {
struct Established {
  SynAck terms;
};
struct Acked {
  Seq durable_through;
  std::uint64_t durable_messages = 0;  // messages ended up to there
};
struct Refused {
  Refusal refusal;
  std::string sentence;
};
// The server is about to stop or restart; a Failed with the same follows when everything in flight is settled.
struct Pausing {
  Duration retry_after;
};
// This connection is over. `is_remote`: the error is the server's.
struct Failed {
  Error error;
  bool is_remote = false;
};
// Everything is settled: after close(finish) the session is no more, after close(pause) it can be resumed.
struct Closed {};
}  // namespace client_event

using ClientEvent = std::variant<client_event::Established, client_event::Acked, client_event::Refused,
                                 client_event::Pausing, client_event::Failed, client_event::Closed>;

class ClientSession {
 public:
  enum class State : std::uint8_t { detached, connecting, established, closing, closed };

  explicit ClientSession(const ClientOptions& options);

  // --- inputs: exactly one, then settle() ---
  // Pre: detached.
  void attach(Instant now);
  void detach();
  // `input` stays until poll_event() has returned nothing.
  void receive(Instant now, ByteView input);
  void handle_timeout(Instant now);
  // Sends `part` of a message, and its end with `is_last`. Takes as much as there is room for; an empty part that is
  // not the last is nothing. Parts that are not the last make the best frames at max_packet_size(). Pre: can_send().
  struct Sent {
    std::size_t bytes = 0;     // of `part`, taken
    bool is_complete = false;  // all of it was, and the end with it
  };
  Sent send(ByteView part, bool is_last);
  // Says what the next message is, where it is not what the SYN said. Pre: can_send(), no message begun.
  void begin(const MessageHeader& header);
  // Says what the bytes of the file under way come to; its last part follows (PROTOCOL §4.7). Pre: can_send(), a
  // message of kind file is begun.
  void tell_digest(const Digest& digest);
  // Gives up the message begun; the server throws it away. Pre: can_send(), a message is begun.
  void abandon();
  // Ends the session (finish) or the connection (pause) once everything sent is durable. Later sends are a bug.
  void close(Disconnect::End end);

  // --- outputs ---
  std::optional<ClientEvent> poll_event(Instant now);
  // Appends bytes for the wire, about `bytes_max` at the most.
  void take_output(Instant now, Bytes& out, std::size_t bytes_max);
  Instant next_deadline() const;
  // The connection is to be closed once everything taken has been written.
  bool wants_finish() const { return is_over_; }
  // A client never closes its sending side alone.
  bool wants_shutdown() const { return false; }

  // --- questions ---
  State state() const { return state_; }
  // Whether there are terms to send by and room for a frame. False after close().
  bool can_send() const { return has_terms_ && !close_ && sender_.has_room(); }
  bool in_message() const { return in_message_; }
  // Ended, or to end, with pause: the session can be resumed.
  bool is_paused() const { return close_ == Disconnect::End::pause; }
  std::uint32_t max_packet_size() const { return max_packet_size_; }
  const Sender& sender() const { return sender_; }
  // What the next SYN would resume: to be kept by who wants to go on after a restart of the program.
  const Syn& offer() const { return offer_; }
  ByteView unread() const { return link_.unread(); }

 private:
  enum class Timer : std::uint8_t { syn, repeat, count };

  void on_frame(Instant now, const Frame& frame);
  void on_syn_ack(Instant now, ByteView payload);
  void on_terms(Instant now, const SynAck& terms);
  void on_ack(Instant now, ByteView payload);
  void on_refusal(const Refusal& refusal, std::string_view sentence);
  void on_damaged();
  void on_damage_there(Seq next);
  void on_error(ByteView payload);
  void on_disconnect(ByteView payload);
  void on_keep_alive(Instant now, ByteView payload);
  void on_final_ack();
  void on_repeat(Instant now);
  void begin_closing();
  void watch(Instant now);
  void emit(ClientEvent event) { events_.push_back(std::move(event)); }
  void fail(Error error, bool is_remote = false);
  void take_session_output(Instant now, Bytes& out, std::size_t bytes_max);
  static void put_keep_alive(KeepAlive keep_alive, Bytes& out);
  bool may_ask() const;
  bool is_up() const { return state_ == State::established || state_ == State::closing; }
  void check_invariants() const;

  ClientOptions options_;
  Syn offer_;
  State state_ = State::detached;
  bool has_terms_ = false;
  bool in_message_ = false;
  bool is_over_ = false;
  // What take_output() owes the wire.
  bool must_syn_ = false;
  bool must_confirm_ = false;
  bool must_confirm_close_ = false;
  bool must_ask_ = false;
  bool must_answer_ = false;
  bool must_disconnect_ = false;
  bool must_tell_error_ = false;
  std::optional<Seq> asked_at_;             // an ask is out; everything up to here was sent before it
  std::optional<Disconnect::End> close_;    // what the host wants
  std::optional<Disconnect::End> closing_;  // what this connection's DISCONNECT says
  std::optional<Duration> paused_;          // the server's pause: when to come back
  std::uint32_t max_packet_size_ = 0;
  Link link_;
  Sender sender_;
  TimerTable<Timer> timers_;
  Error error_to_tell_;
  std::vector<ClientEvent> events_;
  std::size_t events_head_ = 0;
};

}  // namespace cproto
