#include "daemon/health.h"

#include <algorithm>
#include <utility>

#include "config/wording.h"

namespace cproto {

namespace {

constexpr Duration kBusyCheck = 1s;
constexpr Duration kIdleCheck = 20s;
// A disk may take so long before anybody is told.
constexpr Duration kStalled = 10s;
// Nothing the daemon does by itself takes so long: failed disks are tried again every 5 s.
constexpr Duration kStuck = 30s;

}  // namespace

Duration Health::Watch::stalled(Instant now, bool is_waiting, std::uint64_t moves) {
  if (!is_waiting || moves != mark) since = now;
  mark = moves;
  return now - since;
}

Health::Health(Instant now, const HealthOptions& options, Log& log, std::function<void(const std::string&)> notify,
               std::function<std::string()> when_well)
    : options_(options), log_(log), notify_(std::move(notify)), when_well_(std::move(when_well)), next_check_(now) {
  pipeline_.since = now;
  if (options_.watchdog > 0s) next_feeding_ = now;
}

void Health::check(Instant now, const Store& store) {
  const bool is_busy = store.is_busy() || !trouble_.empty();
  const std::vector<Wait> waits = store.waits();
  watches_.resize(waits.size(), {.since = now});
  if (is_busy) {
    next_check_ = std::min(next_check_, now + kBusyCheck);
  } else {
    pipeline_.since = now;
    for (Watch& watch : watches_) watch.since = now;
  }
  if (now < next_check_) return;
  trouble_.clear();
  look_at_pipeline(now, store);
  for (std::size_t i = 0; i < waits.size(); ++i) look_at(now, waits[i], watches_[i]);
  if (const Error* trouble = store.worst_trouble()) trouble_ = trouble->sentence + "; senders wait";
  say_status();
  feed_watchdog(now);
  next_check_ = std::min(now + (is_busy ? kBusyCheck : kIdleCheck), next_feeding_);
}

// Once when it begins, once when it is over.
void Health::look_at(Instant now, const Wait& wait, Watch& watch) {
  const Duration lasts = watch.stalled(now, wait.is_waiting, wait.moves);
  if (lasts < kStalled) {
    if (std::exchange(watch.was_said, false)) log_.warn(LogEvent::disk_works, wait.when_over);
    return;
  }
  trouble_ = wait.what + " has not returned for " + human_time(lasts) + "; " + wait.consequence;
  if (!std::exchange(watch.was_said, true)) log_.error(LogEvent::disk_stalled, trouble_);
}

void Health::look_at_pipeline(Instant now, const Store& store) {
  const Duration lasts = pipeline_.stalled(now, store.is_idle_with_work(), store.moves());
  is_stuck_ = lasts >= kStuck;
  if (!is_stuck_) {
    pipeline_.was_said = false;
    return;
  }
  trouble_ = "a batch has waited for " + human_time(lasts) + " and nothing is done about it: a bug in cprotod";
  if (!std::exchange(pipeline_.was_said, true))
    log_.error(LogEvent::stuck, trouble_ + "; the watchdog is left to bark");
}

void Health::feed_watchdog(Instant now) {
  if (now < next_feeding_) return;
  next_feeding_ = now + options_.watchdog / 3;
  if (!is_stuck_) notify_("WATCHDOG=1");
}

void Health::say_status() {
  const std::string status = trouble_.empty() ? when_well_() : trouble_;
  if (status == said_) return;
  said_ = status;
  notify_("STATUS=" + status);
}

}  // namespace cproto
