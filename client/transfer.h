// One run of the command: keeps a connection to a server, and lets the session and the shipper do the rest; until
// everything is durable, or it cannot be. Bytes and time in; what is to be done out, through Network: it knows no
// socket and no clock.
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
#include <optional>
#include <string>

#include "client/congestion.h"
#include "client/options.h"
#include "client/progress.h"
#include "client/report.h"
#include "client/servers.h"
#include "client/shipper.h"
#include "client/source.h"
#include "client/tracer.h"
#include "client/transfer_state.h"
#include "client/trouble.h"
#include "client/unreachable.h"
#include "proto/client_session.h"
#include "proto/timers.h"

namespace cproto::client {

class Transfer final {
 public:
  // What carries it out: libuv's (uv_network.h), or the simulator's. Nothing is answered from within a call.
  class Network {
   public:
    // Finds a connection to `server`, from which of its addresses on `rotation` says: on_connected, or on_unreachable.
    virtual void connect(const ServerAddress& server, std::size_t rotation) = 0;

    // Of the connection that is there:
    // Nothing written earlier is still on its way; on_writable says when.
    virtual bool can_write() const = 0;
    // Pre: can_write(). Empty.
    virtual Bytes& write_buffer() = 0;
    // Sends what is in the buffer.
    virtual void write() = 0;
    // Closes behind the last byte: on_gone. May come again.
    virtual void finish() = 0;

    // When to call handle_timeout(); kNever for not at all.
    virtual void set_deadline(Instant at) = 0;
    // The run is over: nothing is to be called any more, and no connection is wanted.
    virtual void on_over() = 0;

   protected:
    ~Network() = default;
  };

  // Where --trace writes; empty for nowhere.
  using TraceSink = std::function<void(const std::string&)>;

  // `state` is null where nothing is remembered between runs. All that is named outlives it.
  Transfer(Network& network, Instant now, const Options& options, Source& source, Tally& tally, Progress& progress,
           Random random, TransferState* state, std::optional<SavedTransfer> saved, TraceSink trace);

  // --- inputs ---
  void start(Instant now);
  // The source may have something.
  void wake(Instant now);
  // First: what was read is made durable, 10 s at the most. Second: at once.
  void interrupt(Instant now, int signal);
  void handle_timeout(Instant now);
  // Of the network. `reason` is empty after finish(); `tls`: what TLS failed of, if that was it.
  void on_connected(Instant now, const std::string& address, const Congestion& congestion);
  void on_unreachable(Instant now, const Unreachable& unreachable);
  void on_bytes(Instant now, ByteView bytes);
  void on_writable(Instant now);
  void on_gone(Instant now, const std::string& reason, const TlsTrouble& tls = {});

  // --- questions ---
  bool is_over() const { return state_ == State::over; }
  const Outcome& outcome() const { return outcome_; }
  const ClientSession& session() const { return session_; }

 private:
  enum class State { waiting, connecting, connected, over };
  // session: its deadline. retry: the next attempt. tick: what is looked at now and then. stop: the end of patience
  // behind a signal.
  enum class Timer : std::uint8_t { session, retry, tick, stop, count };
  struct Host;  // for settle()

  void connect();
  void turn(Instant now);
  void rest();
  void on_event(Instant now, const client_event::Established& event);
  void on_event(Instant now, const client_event::Acked& event);
  void on_event(Instant now, const client_event::Refused& event);
  void on_event(Instant now, const client_event::Pausing& event);
  void on_event(Instant now, const client_event::Failed& event);
  void on_event(Instant now, const client_event::Closed& event);

  void note_congestion(const Congestion& congestion);
  Trouble describe_loss(const std::string& reason, const TlsTrouble& tls) const;
  void on_trouble(Instant now, const Trouble& trouble);
  std::string with_count(const std::string& sentence) const;
  bool is_hopeless(const Trouble& trouble) const;
  void tick(Instant now);
  bool awaits_anything() const;
  void save(Instant now, bool must_last);
  void save_bookmarks(Instant now);
  void forget(Instant now, int error);
  void give_up(Instant now);
  void end(Instant now, Status status, std::string sentence);
  void finish(Instant now);

  Network& network_;
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
  TimerTable<Timer> timers_;

  State state_ = State::waiting;
  Instant start_;
  Instant last_progress_;  // something became durable, or nothing was waiting to
  Instant attached_at_;
  Duration timeout_{0};  // 0: never
  std::string where_;
  Bytes greeting_;                // the first bytes of this connection, until the handshake is complete
  bool is_established_ = false;   // this connection
  bool was_established_ = false;  // any connection
  TlsTrouble::Kind tls_trouble_ = TlsTrouble::Kind::none;  // of the last connection
  bool was_reached_ = false;                               // since last_progress_
  bool is_closed_ = false;
  bool must_save_ = false;
  bool has_bookmark_ = false;      // that is not saved
  bool has_detour_ = false;        // and has to last
  std::size_t failures_ = 0;       // attempts in a row
  std::size_t unknown_hosts_ = 0;  // of them, in a row
  std::optional<client_event::Failed> failure_;
  Trouble trouble_;  // the latest
  Outcome outcome_;
};

}  // namespace cproto::client
