// cprotod as one object: opens what the configuration names, serves until told to stop, and leaves everything received
// durable and delivered.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "daemon/control_socket.h"
#include "daemon/health.h"
#include "daemon/listener.h"
#include "daemon/log.h"
#include "daemon/operator.h"
#include "daemon/reactor.h"
#include "daemon/repeats.h"
#include "daemon/store.h"
#include "daemon/store_lock.h"
#include "daemon/stream.h"
#include "daemon/uv_disk.h"

namespace cproto {

class Daemon final : private Timed {
 public:
  struct Hooks {
    std::function<LoadResult()> load;         // the configuration as file and flags have it now
    std::function<void(LogLevel)> set_level;  // of the log
  };
  Daemon(const Config& config, Log& log, Hooks hooks);
  ~Daemon() override;
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // An exit status of USER.md and the sentence that goes with it; status 0: it went well.
  struct Outcome {
    int status = 0;
    std::string sentence;
  };
  // Locks and recovers the store, then listens.
  Outcome open();
  // Serves until SIGTERM, SIGINT or an operator says so, then drains.
  Outcome run();

 private:
  Outcome open_store();
  Outcome open_journal_store();
  void open_stream_store();
  Outcome open_listener(const ConnectionLimits& limits);
  void open_control();
  void start_signals();
  void say_ready();
  void on_signal(int signal);

  // Everything or nothing: a configuration with a mistake changes nothing.
  Reply reload();
  std::vector<std::string> mistakes_in(const LoadResult& loaded, const std::string& tls_problem) const;
  std::vector<std::string> apply(const Config& next, std::shared_ptr<const TlsContext> tls);
  std::optional<std::int64_t> certificate_left() const;
  void say_tls();
  void say_certificate();
  ConnectionLimits connection_limits();

  void drain();
  void finish_draining();
  void say_draining();

  DaemonView view();
  std::string status_line();
  std::string inbox() const;
  void after_round();
  void on_deadline() override;
  void update_deadline();

  Config config_;
  Log& log_;
  Hooks hooks_;
  StoreLock lock_;
  Reactor reactor_;
  Instant started_;
  UvDisk disk_;
  World world_;
  PeerCounters counters_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<ConnectionShared> shared_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Health> health_;
  std::unique_ptr<Operator> operator_;
  std::unique_ptr<ControlSocket> control_;
  Repeats control_failures_;
  uv_signal_t signals_[3] = {};
  bool signals_started_ = false;
  bool is_draining_ = false;
  bool connections_are_gone_ = false;
  Instant drain_until_ = kNever;
  Instant drain_said_at_{};
  std::uint64_t drain_moves_ = 0;
  Instant certificate_said_at_ = kNever;  // the next time its end is spoken of
  std::vector<Answer> drain_answers_;
};

}  // namespace cproto
