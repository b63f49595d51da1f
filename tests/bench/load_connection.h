// One client of the load: a ClientSession on a TCP connection that sends the same message again and again, and hears
// when each is durable. Does nothing else, so that the daemon is what is measured.
//
// Happy path: connect, on_ready, begin, on_all_durable, end, (Closed,) gone.
// Failure modes: whatever ends the connection before its session is closed is said once, by on_trouble.
//
// What is copied of a message on its way: payload -> the session's buffer of frames (encoded there) -> the write buffer
// -> the socket.
#pragma once

#include <sys/socket.h>
#include <uv.h>

#include <cstdint>
#include <string>
#include <vector>

#include "proto/client_session.h"

namespace cproto::bench {

class LoadConnection {
 public:
  class Owner {
   public:
    // The handshake is complete.
    virtual void on_ready(const SynAck& terms) = 0;
    // From send() to the ACK that covers the message, where that is asked for.
    virtual void on_round_trip(Duration lasted) = 0;
    // As many messages as begin() said.
    virtual void on_all_durable() = 0;
    virtual void on_trouble(const std::string& what) = 0;

   protected:
    ~Owner() = default;
  };

  // What all connections of a load share. `payload` and `read_buffer` outlive them.
  struct Shared {
    uv_loop_t* loop = nullptr;
    Owner& owner;
    ByteView payload;
    Bytes& read_buffer;
    bool is_step_by_step = false;
    bool is_timed = false;
  };

  // The loop must have run to its end before it is destroyed.
  LoadConnection(const Shared& shared, const Syn& offer);
  LoadConnection(const LoadConnection&) = delete;
  LoadConnection& operator=(const LoadConnection&) = delete;

  void connect(const sockaddr_storage& server);
  // Sends `count` messages.
  void begin(std::uint64_t count);
  // Ends the session; the connection closes behind it.
  void end();
  // At once, without a word.
  void close();

  // ACKs that made something durable.
  std::uint64_t acknowledgements() const { return acknowledgements_; }

  // --- Host, for settle() ---
  void on_event(ClientEvent& event);
  bool can_write() const { return !is_writing_ && !is_closing_; }
  Bytes& write_buffer();
  void write();
  void set_deadline(Instant at);
  void shut_down() {}
  void finish();

 private:
  void turn(Instant at);
  bool pump();
  void on_connected(int error);
  void on_read(ssize_t size);
  void on_written(int error);
  void on_timer();
  void on_acked(const client_event::Acked& acked);
  void fail(const std::string& what);
  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&tcp_); }

  Shared shared_;
  ClientSession session_;
  std::uint32_t window_;  // as offered
  uv_tcp_t tcp_{};
  uv_timer_t timer_{};
  uv_connect_t connect_request_{};
  uv_write_t write_request_{};
  Bytes output_;
  std::uint64_t count_ = 0;       // messages to send in all
  std::uint64_t sent_ = 0;        // of them, handed to the session
  std::size_t part_sent_ = 0;     // of the next one, where it is cut
  std::vector<Instant> sent_at_;  // of the messages in flight, a ring; empty if nobody asks
  std::uint64_t durable_ = 0;
  std::uint64_t acknowledgements_ = 0;
  Instant deadline_ = kNever;  // what the session wants
  Instant armed_ = kNever;     // what the timer does; never later
  bool is_writing_ = false;
  bool is_finishing_ = false;
  bool is_closing_ = false;
};

}  // namespace cproto::bench
