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
  disk_.since = inbox_.since = files_.since = pipeline_.since = now;
  if (options_.watchdog > 0s) next_feeding_ = now;
}

void Health::check(Instant now, const Store& store) {
  const bool is_busy = !store.journal().is_idle() || store.delivery().waits_for_disk() ||
                       store.intake().waits_for_disk() || store.space().trouble() != nullptr || !trouble_.empty();
  if (is_busy) {
    next_check_ = std::min(next_check_, now + kBusyCheck);
  } else {
    disk_.since = inbox_.since = files_.since = pipeline_.since = now;
  }
  if (now < next_check_) return;
  trouble_.clear();
  look_at_pipeline(now, store);
  look_at_inbox(now, store);
  look_at_files(now, store);
  look_at_disk(now, store);
  for (const Error* trouble : {store.space().trouble(), store.trouble()})
    if (trouble != nullptr) trouble_ = trouble->sentence + "; senders wait";
  say_status();
  feed_watchdog(now);
  next_check_ = std::min(now + (is_busy ? kBusyCheck : kIdleCheck), next_feeding_);
}

void Health::look_at_disk(Instant now, const Store& store) {
  const std::string journal = options_.directory + "/journal";
  const Duration lasts = disk_.stalled(now, store.journal().waits_for_disk(), store.moves());
  tell_stall(disk_, lasts, "fdatasync on " + journal, "; nothing is acknowledged until it does",
             journal + " answers again; senders go on");
}

void Health::look_at_inbox(Instant now, const Store& store) {
  const Duration lasts = inbox_.stalled(now, store.delivery().waits_for_disk(), store.delivery().moves());
  tell_stall(inbox_, lasts, "writing to " + options_.inbox, "; what is acknowledged is in the journal",
             options_.inbox + " answers again; delivery goes on");
}

void Health::look_at_files(Instant now, const Store& store) {
  const std::string parts = options_.directory + "/partial";
  const Duration lasts = files_.stalled(now, store.intake().waits_for_disk(), store.intake().moves());
  tell_stall(files_, lasts, "writing to " + parts, "; files wait", parts + " answers again; files go on");
}

// Once when it begins, once when it is over.
void Health::tell_stall(Watch& watch, Duration lasts, const std::string& what, const char* consequence,
                        const std::string& when_over) {
  if (lasts < kStalled) {
    if (std::exchange(watch.was_said, false)) log_.warn(LogEvent::disk_works, when_over);
    return;
  }
  trouble_ = what + " has not returned for " + human_time(lasts) + consequence;
  if (!std::exchange(watch.was_said, true)) log_.error(LogEvent::disk_stalled, trouble_);
}

void Health::look_at_pipeline(Instant now, const Store& store) {
  const Journal& journal = store.journal();
  const Duration lasts = pipeline_.stalled(now, !journal.is_idle() && !journal.waits_for_disk(), store.moves());
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
