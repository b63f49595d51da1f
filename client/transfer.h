// One run of the command: finds a server, keeps a connection to it, and lets the session and the shipper do the rest;
// until everything is durable, or it cannot be.
//
//            name, connect             SYN-ACK                       final ACK
//   waiting ---------------> connecting -------> connected ------------------------> over
//      ^                         |                   |                                ^
//      +---- back-off -----------+-------------------+---- time out, signal, refused -+
//
// Happy path: start, on_connected, Established, pump…, Acked…, Closed, on_gone.
// Failure modes: every loss of a connection ends in on_trouble(), which waits and tries again, or ends the run.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "client/connection.h"
#include "client/connector.h"
#include "client/options.h"
#include "client/progress.h"
#include "client/report.h"
#include "client/servers.h"
#include "client/shipper.h"
#include "client/source.h"
#include "client/tracer.h"
#include "client/transfer_state.h"
#include "client/trouble.h"
#include "proto/client_session.h"

namespace cproto::client {

class Transfer final : Connector::Owner, Connection::Owner {
 public:
  // Where --trace writes; empty for nowhere.
  using TraceSink = std::function<void(const std::string&)>;

  // `state` is empty where nothing is remembered between runs.
  Transfer(uv_loop_t* loop, const Options& options, Source& source, Tally& tally, Progress& progress, Random random,
           TransferState* state, std::optional<SavedTransfer> saved, TraceSink trace);

  void start();
  // The source may have something.
  void wake();
  // First: what was read is made durable, 10 s at the most. Second: at once.
  void interrupt(int signal);

  // The loop is stopped when the run is over.
  const Outcome& outcome() const { return outcome_; }
  bool has_lookup_left() const { return connector_.has_lookup_left(); }

 private:
  enum class State { waiting, connecting, connected, over };
  struct Host;  // for settle()

  void connect();
  void on_connected(Handle<uv_tcp_t> tcp, const std::string& address) override;
  void on_unreachable(const Unreachable& unreachable) override;
  void on_bytes(ByteView bytes) override;
  void on_writable() override { turn(now()); }
  void on_gone(const std::string& reason) override;

  void turn(Instant now);
  void on_event(Instant now, const client_event::Established& event);
  void on_event(Instant now, const client_event::Acked& event);
  void on_event(Instant now, const client_event::Refused& event);
  void on_event(Instant now, const client_event::Pausing& event);
  void on_event(Instant now, const client_event::Failed& event);
  void on_event(Instant now, const client_event::Closed& event);

  Trouble describe_loss(const std::string& reason) const;
  void on_trouble(const Trouble& trouble);
  std::string with_count(const std::string& sentence) const;
  bool is_hopeless(const Trouble& trouble) const;
  void tick();
  bool awaits_anything() const;
  void save(bool must_last);
  void give_up();
  void end(Status status, std::string sentence);
  void finish();

  uv_loop_t* loop_;
  const Options& options_;
  Source& source_;
  Tally& tally_;
  Progress& progress_;
  TransferState* memory_;
  SavedTransfer saved_;  // as it was, or is to be, written
  TraceSink trace_;
  Tracer tracer_;
  ClientSession session_;
  Shipper shipper_;
  Servers servers_;
  Connector connector_;
  std::unique_ptr<Connection> connection_;
  Timer deadline_timer_;
  Timer retry_timer_;
  Timer tick_timer_;
  Timer stop_timer_;

  State state_ = State::waiting;
  Instant start_;
  Instant last_progress_;  // something became durable, or nothing was waiting to
  Instant attached_at_;
  Duration timeout_{0};  // 0: never
  Instant deadline_ = kNever;
  std::string where_;
  Bytes greeting_;                // the first bytes of this connection, until the handshake is complete
  bool is_established_ = false;   // this connection
  bool was_established_ = false;  // any connection
  bool was_reached_ = false;      // since last_progress_
  bool is_closed_ = false;
  bool must_save_ = false;
  bool has_complained_ = false;
  std::size_t failures_ = 0;       // attempts in a row
  std::size_t unknown_hosts_ = 0;  // of them, in a row
  std::optional<client_event::Failed> failure_;
  Trouble trouble_;  // the latest
  Outcome outcome_;
};

}  // namespace cproto::client
