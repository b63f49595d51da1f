// cprotod as one object: opens what the configuration names, serves until told to stop, and leaves everything received
// durable and delivered.
#pragma once

#include <memory>
#include <string>

#include "config/config.h"
#include "daemon/listener.h"
#include "daemon/log.h"
#include "daemon/reactor.h"
#include "daemon/store.h"
#include "daemon/store_lock.h"
#include "daemon/uv_disk.h"

namespace cproto {

class Daemon final : private Timed {
 public:
  Daemon(const Config& config, Log& log);
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
  // Serves until SIGTERM or SIGINT, then drains.
  Outcome run();

  // On SIGHUP. Set before run().
  void set_on_reload(std::function<void()> on_reload) { on_reload_ = std::move(on_reload); }

 private:
  Outcome open_store();
  Outcome open_listener();
  void start_signals();
  void on_signal(int signal);
  void drain();
  void finish_draining();
  void after_round();
  void on_deadline() override;
  void update_deadline();

  Config config_;
  Log& log_;
  StoreLock lock_;
  Reactor reactor_;
  UvDisk disk_;
  World world_;
  PeerCounters counters_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<ConnectionShared> shared_;
  std::unique_ptr<Listener> listener_;
  uv_signal_t signals_[3] = {};
  bool signals_started_ = false;
  std::function<void()> on_reload_;
  bool is_draining_ = false;
  Instant drain_until_ = kNever;
  bool connections_are_gone_ = false;
};

}  // namespace cproto
