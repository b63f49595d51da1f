// One client's connection as the daemon sees it: the protocol's ServerSession, the session it holds, and the wire it
// speaks on. The wire is libuv's or the simulator's.
//
// Bytes in -> ServerSession -> Received -> Store::append … Store says on_committed -> ServerSession::commit -> ACK out.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "daemon/authority.h"
#include "daemon/counters.h"
#include "daemon/log.h"
#include "daemon/peer_log.h"
#include "daemon/rate.h"
#include "daemon/session_registry.h"
#include "daemon/store.h"
#include "proto/server_session.h"
#include "proto/turn.h"

namespace cproto {

// What carries the bytes. Host of proto/turn.h without the events.
class Wire {
 public:
  virtual ~Wire() = default;
  virtual bool can_write() = 0;
  virtual Bytes& write_buffer() = 0;
  virtual void write() = 0;
  virtual void set_deadline(Instant at) = 0;
  virtual void shut_down() = 0;
  // The peer must not be used again once this returns; it may be gone.
  virtual void finish() = 0;
  // The handshake is complete.
  virtual void on_opened() {}
  virtual void set_reading(bool is_reading) = 0;
};

class Peer final : private SessionHolder, private PartialFrames::Holder {
 public:
  // `address` is for logs: "192.0.2.9:51234".
  Peer(Instant now, Store& store, Wire& wire, Log& log, PeerCounters& counters, const World& world, std::string address,
       const ServerOptions& options, std::uint64_t window_bytes);
  ~Peer() override;

  // Who it is, and who decides what that one may: nobody is asked if this is never said. `authority` outlives the peer.
  // Pre: nothing was received.
  void identify(const Authority& authority, Identity identity);
  const Identity& identity() const { return identity_; }
  // It speaks plain text where only TLS is taken. One turn; nothing more is to be received.
  void refuse_plain(ByteView input);
  // TLS failed; close() is next. `why` is for people.
  void on_tls_failed(const std::string& why);
  // Tells why it cannot stay, and ends. One turn.
  void expel(ErrorCode why);

  // Each is one turn. `input` stays for the length of the call. The peer may be gone when they return (Wire::finish).
  void receive(ByteView input);
  void receive_end();
  // There was no room to read into: reading stops until on_room().
  void on_full();
  // The connection is gone, whatever the session thinks.
  void on_lost();
  void handle_timeout();
  // It makes room for others. on_lost() is next, and nothing is said of it. Pre: its handshake is not complete.
  void turn_away(ErrorCode why);
  // The wire can take more.
  void on_writable();
  // Bytes that may be read for now.
  std::size_t room() const { return store_.room(entry_); }
  // The store has room again.
  void on_room();
  void pause(Duration retry_after);

  bool is_waiting_for_room() const { return !is_reading_; }
  const ServerSession& session() const { return session_; }
  const std::string& address() const { return log_.address(); }

  // --- Host, for settle() ---
  void on_event(ServerEvent& event);
  bool can_write() { return wire_.can_write(); }
  Bytes& write_buffer() { return wire_.write_buffer(); }
  void write() { wire_.write(); }
  void set_deadline(Instant at) { wire_.set_deadline(at); }
  void shut_down() { wire_.shut_down(); }
  void finish();

 private:
  void on_hello(const Syn& syn);
  void on_decided(const Syn& syn, const Store::Admitted& admitted);
  std::optional<Error> objection(const MessageHeader& header);
  bool finds_no_room();
  void on_closing(Disconnect::End end);
  void count_refused(const Refusal& refusal);
  void accept(const SynAck& terms);
  void refuse(const Syn& syn, const Error& error);
  // Nothing of the session is on its way to the disk.
  bool is_settled() const { return entry_->received.through == entry_->durable.through; }
  void on_ended(const Error& error, bool is_remote);
  void on_stranger(const Error& error);
  void turn();
  void count();
  // The session is not this connection's any more.
  void let_go(ErrorCode why);

  void on_admitted(Store::Admitted admitted) override;
  void on_committed() override;
  void on_delivered() override;
  void on_message_refused(const Refusal& refusal) override;
  void on_superseded() override;
  void on_trouble(const Error& trouble) override;
  ConnectionView view() override;
  void on_kicked() override;
  void on_overload() override;

  Store& store_;
  Wire& wire_;
  PeerLog log_;
  PeerCounters& counters_;
  const World& world_;
  ServerSession session_;
  SessionEntry* entry_ = nullptr;
  const Authority* authority_ = nullptr;
  Identity identity_;
  std::uint64_t window_bytes_;
  Instant last_input_;
  Rate rate_;
  OperationMode mode_ = OperationMode::burst;
  std::uint64_t duplicates_counted_ = 0;
  std::uint64_t damaged_counted_ = 0;
  std::unique_ptr<const Syn> asked_;    // a resume, until the store knows how far its session got
  std::unique_ptr<const Syn> waiting_;  // a resume, until what was received before it is durable
  bool is_reading_ = true;
  bool is_closing_ = false;  // waits for its files to be in the inbox
  bool is_refused_ = false;
  bool is_opened_ = false;
  bool in_turn_ = false;
};

}  // namespace cproto
