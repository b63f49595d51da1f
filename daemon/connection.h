// One TCP connection of a client, with or without TLS on it: the wire of a Peer. Knows libuv, buffers and when a socket
// may go; nothing of frames.
//
// Happy path: open -> on_read -> Peer … write -> finish -> (last bytes out) -> shut down -> end of the peer's stream ->
// gone. Failure modes: a read or write error ends it at once; a peer that does not close after we did is closed upon
// after a second.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <string_view>

#include "daemon/peer.h"
#include "daemon/reactor.h"
#include "proto/tls_stream.h"

namespace cproto {

class Connection;

// What all connections share: made once.
struct ConnectionShared {
  Reactor& reactor;
  Store& store;
  Log& log;
  PeerCounters& counters;
  const World& world;
  ServerOptions session;
  std::uint64_t window_bytes = 16u << 20;
  Bytes read_buffer;                           // one is enough: input is used up before the callback returns,
  Bytes write_buffer = {};                     // and output offered to the socket
  Bytes decrypted = {};                        // as read_buffer
  std::shared_ptr<const TlsContext> tls = {};  // nullptr: plain text is spoken
  bool allows_plain = false;                   // besides TLS
  Authority authority = {};
  std::uint64_t handshake_round = 0;                 // the last round of the reactor with a TLS handshake
  const Connection* reader = nullptr;                // who read last,
  std::uint64_t reader_round = 0;                    // and in which round of the reactor
  std::function<void(Connection&)> on_waiting = {};  // it has stopped reading until the store has room
  std::function<void(Connection&)> on_opened = {};   // its handshake is complete
  std::function<void(Connection&)> on_closing = {};  // its descriptor is free again
  std::function<void(Connection&)> on_gone = {};     // destroys it
};

class Connection final : private Wire, private Timed {
 public:
  // `serial`: connections are numbered in the order they come.
  Connection(ConnectionShared& shared, std::uint64_t serial);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Serves whoever has connected to this socket, which is the connection's from now on. Returns a libuv error, after
  // which only close() is to be called.
  int open(int fd);
  std::uint64_t serial() const { return serial_; }
  // Where whoever owns it has it.
  std::size_t place = 0;
  // Ends it if the key it came with is gone. Call when `shared.tls` was replaced.
  void review();
  // The address it comes from, without the port. Empty if it could not be opened.
  std::string_view host() const;

  void on_room();
  void pause(Duration retry_after);
  // Tells the peer why, as far as its socket takes it at once, and closes. False if it was being closed already, for
  // reasons of its own. Pre: its handshake is not complete.
  bool refuse(const Error& error);
  void close();

 private:
  // What the socket did not take at once.
  struct Writing {
    uv_write_t request{};
    Bytes bytes;
  };

  bool can_write() override { return !writing_ && !is_closing_ && (!tls_ || tls_->can_write()); }
  Bytes& write_buffer() override;
  void write() override;
  void set_deadline(Instant at) override;
  void shut_down() override;
  void finish() override;
  void on_opened() override { shared_.on_opened(*this); }
  void set_reading(bool is_reading) override;
  void on_deadline() override;

  bool has_had_its_turn() const;
  bool awaits_handshake() const;
  bool begin(ByteView first);
  void on_encrypted(ByteView bytes);
  void on_tls_open();
  void on_tls_ended();
  void flush_tls();
  void send(const Bytes& output);
  void on_read(ssize_t count);
  void on_written(int status);
  void on_end();
  void linger();
  void start_reading();
  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&tcp_); }

  ConnectionShared& shared_;
  std::uint64_t serial_;
  uv_tcp_t tcp_{};
  std::unique_ptr<Writing> writing_;
  std::unique_ptr<uv_shutdown_t> shutdown_request_;  // made once
  std::unique_ptr<Peer> peer_;
  std::unique_ptr<TlsStream> tls_;
  bool is_begun_ = false;      // its first byte told TLS from plain text
  bool is_finishing_ = false;  // nothing is read for the peer any more
  bool is_closing_ = false;
};

}  // namespace cproto
