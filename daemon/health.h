// Whether the daemon gets on with its work, and whom to tell when it does not: the service manager's watchdog, STATUS=
// and the log.
//
// The loop that runs is fed to the watchdog, unless the pipeline stands still: a batch waits, no job of the journal's
// is on the disk, and nothing has moved for half a minute. That is a bug, and a restart cures it. A disk that does not
// answer is neither: it is told, waited for, and told again when it is over.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "daemon/log.h"
#include "daemon/store.h"
#include "proto/time.h"

namespace cproto {

struct HealthOptions {
  Duration watchdog{0};  // the service manager's interval; 0: it has none
};

class Health {
 public:
  // `notify` takes what sd_notify(3) takes; `when_well` says what STATUS= is while all is well.
  Health(Instant now, const HealthOptions& options, Log& log, std::function<void(const std::string&)> notify,
         std::function<std::string()> when_well);

  // Call once a turn of the loop, and at next_deadline().
  void check(Instant now, const Store& store);
  Instant next_deadline() const { return next_check_; }

  // Empty while all is well.
  const std::string& trouble() const { return trouble_; }

 private:
  // Something that ought to move, and since when it has not.
  struct Watch {
    std::uint64_t mark = 0;
    Instant since{};
    bool was_said = false;
    // For how long something has waited with nothing moving.
    Duration stalled(Instant now, bool is_waiting, std::uint64_t moves);
  };

  void look_at(Instant now, const Wait& wait, Watch& watch);
  void look_at_pipeline(Instant now, const Store& store);
  void feed_watchdog(Instant now);
  void say_status();

  HealthOptions options_;
  Log& log_;
  std::function<void(const std::string&)> notify_;
  std::function<std::string()> when_well_;
  std::vector<Watch> watches_;
  Watch pipeline_;
  bool is_stuck_ = false;
  std::string trouble_;
  std::string said_;  // of STATUS=
  Instant next_check_;
  Instant next_feeding_ = kNever;
};

}  // namespace cproto
