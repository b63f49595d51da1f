#include "daemon/space_watch.h"

#include <algorithm>
#include <utility>

#include "config/wording.h"

namespace cproto {

namespace {

constexpr std::uint64_t kShareOfDisk = 20;  // 5 %
constexpr Duration kLookQuiet = 5s;
constexpr Duration kLookClosely = 1s;  // at less than twice the floor
// What is received brings the next look forward: a quarter of the way to the floor, but no small change.
constexpr std::uint64_t kReceivedMin = 1u << 20;
constexpr Duration kRetryAfter = 5s;
// A line about space waits so long for the sizes of the folders.
constexpr Duration kSayWithout = 5s;
constexpr std::size_t kLargest = 3;
constexpr Duration kMeasureEvery = 60s;
constexpr Duration kMeasureFull = 5s;  // a folder at its limit
constexpr Duration kListAgain = 5s;
// Measuring takes at most so much of the time.
constexpr int kMeasureShare = 10;

}  // namespace

SpaceWatch::SpaceWatch(Disk& disk, const SpaceOptions& options, Log& log)
    : disk_(disk),
      options_(options),
      log_(log),
      census_(disk, options.inbox, {options.on_listed, [this] { on_measured(); }}) {
  places_[0].directory = options.store;
  places_[1].directory = options.inbox;
}

void SpaceWatch::look_now() {
  census_.list_now();
  if (bounds_clients()) measure_at_ = now();
  if (!is_watching()) return;
  Job job = looking_job();
  on_looked(disk_.run(job));
}

void SpaceWatch::set_limits(const SpaceLimits& limits) {
  options_.limits = limits;
  measure_at_ = bounds_clients() ? now() : kNever;
  judge_clients();
  look_at_ = now();
  if (is_watching()) return;
  look_at_ = kNever;
  for (Place& place : places_) place.floor = 0;
  const Level before = std::exchange(level_, Level::plenty);
  on_level(before);
}

// --- the floor ---

Job SpaceWatch::looking_job() {
  received_ = 0;
  undelivered_ = options_.undelivered ? options_.undelivered() : 0;
  return {file_op::space_of_path(places_[0].directory, places_[0].space),
          file_op::space_of_path(places_[1].directory, places_[1].space)};
}

void SpaceWatch::look() {
  is_looking_ = true;
  disk_.submit(looking_job(), [this, alive = alive_](JobResult result) {
    if (!*alive) return;
    is_looking_ = false;
    on_looked(result);
  });
}

void SpaceWatch::on_looked(const JobResult& result) {
  look_at_ = now() + kLookClosely;
  if (!is_watching()) look_at_ = kNever;
  if (!result.ok() || !is_watching()) return;
  // What was delivered while it looked counts twice, rather than not at all.
  std::uint64_t& inbox_free = places_[1].space.free;
  inbox_free -= std::min(inbox_free, undelivered_);
  for (Place& place : places_) judge(place);
  const Level before = std::exchange(level_, worst().level);
  if (level_ == Level::plenty) look_at_ = now() + kLookQuiet;
  received_max_ = ~std::uint64_t{0};
  for (const Place& place : places_)
    if (place.space.free > place.floor)
      received_max_ = std::min(received_max_, std::max(kReceivedMin, (place.space.free - place.floor) / 4));
  on_level(before);
}

void SpaceWatch::judge(Place& place) {
  place.is_known = true;
  place.floor = std::min(options_.limits.free_space, place.space.total / kShareOfDisk);
  place.level = place.space.free < place.floor       ? Level::below
                : place.space.free < place.floor * 2 ? Level::low
                                                     : Level::plenty;
}

const SpaceWatch::Place& SpaceWatch::worst() const { return inbox().level > store().level ? inbox() : store(); }

void SpaceWatch::on_level(Level before) {
  if (level_ == Level::below && before != Level::below) begin_below();
  if (level_ == Level::below) {
    set_trouble();
    if (options_.on_below) options_.on_below();
    return;
  }
  must_say_ = must_say_ && level_ == Level::low;
  if (before == Level::below) {
    trouble_.reset();
    const Place& place = worst();
    log_.warn(LogEvent::disk_works, "disk of " + place.directory + " above its floor again (" +
                                        human_bytes(place.space.free) + " free); senders go on");
  }
  // Said again when there was clearly more in between.
  if (level_ == Level::plenty && worst().space.free / 9 * 4 > worst().floor) was_low_said_ = false;
  if (level_ != Level::low || std::exchange(was_low_said_, true)) return;
  must_say_ = true;
  say_level();
}

void SpaceWatch::begin_below() {
  since_ = options_.time_of_day ? options_.time_of_day() : std::string();
  was_low_said_ = true;
  const auto more = below_lines_.note(now());
  if (!more) return;
  more_below_ = *more;
  must_say_ = true;
  set_trouble();
  say_level();
}

void SpaceWatch::set_trouble() {
  const Place& place = worst();
  Error trouble = Error::retry_after(ErrorCode::disk_full, kRetryAfter);
  trouble.sentence = "disk below its floor (" + human_part(place.space.free, place.floor) + " free)" +
                     (since_.empty() ? "" : " since " + since_);
  trouble_ = std::move(trouble);
}

// With the sizes of the folders, which may have to be measured first.
void SpaceWatch::say_level() {
  if (!must_say_) return;
  if (say_by_ == kNever) {
    say_by_ = now() + kSayWithout;
    measuring_since_ = now();
    census_.measure_all();
    return;
  }
  must_say_ = false;
  say_by_ = kNever;
  const Place& place = worst();
  if (level_ == Level::low) {
    log_.warn(LogEvent::disk_low, "disk of " + place.directory + " is filling up: " + human_bytes(place.space.free) +
                                      " free, and below " + human_bytes(place.floor) + " senders wait." + largest());
  } else if (level_ == Level::below) {
    log_.error(LogEvent::disk_full, "disk of " + place.directory + " below its floor (" +
                                        human_part(place.space.free, place.floor) + " free): senders wait." +
                                        largest() + more_below_);
  }
}

std::string SpaceWatch::largest() const {
  std::string text;
  for (const InboxCensus::Size& size : census_.largest(kLargest))
    if (size.bytes > 0) text += (text.empty() ? " Largest: " : ", ") + size.client + " " + human_bytes(size.bytes);
  return text;
}

// --- clients ---

void SpaceWatch::note_received(const std::string& client, std::uint64_t bytes) {
  received_ += bytes;
  if (!bounds_clients()) return;
  census_.note_received(client, bytes);
  judge_client(client);
}

void SpaceWatch::list_soon() {
  if (listed_at_ && now() - *listed_at_ < kListAgain) return;
  listed_at_ = now();
  census_.list();
}

const Error* SpaceWatch::trouble(const std::string& client) {
  if (trouble_) return &*trouble_;
  if (!full_.contains(client)) return nullptr;
  client_trouble_ = Error::retry_after(ErrorCode::inbox_full, kRetryAfter);
  client_trouble_.sentence = "the inbox of " + client + " is at its limit (" +
                             human_part(census_.bytes_of(client), options_.limits.inbox_per_client) + ")";
  return &client_trouble_;
}

void SpaceWatch::judge_client(const std::string& client) {
  const std::uint64_t limit = options_.limits.inbox_per_client;
  const std::uint64_t bytes = census_.bytes_of(client);
  if (limit > 0 && bytes >= limit) {
    if (!full_.insert(client).second) return;
    log_.warn(LogEvent::inbox_limit,
              client + ": its inbox is at its limit (" + human_part(bytes, limit) + "); its senders wait",
              {.client = client});
    measure_at_ = std::min(measure_at_, now() + kMeasureFull);
  } else if (full_.erase(client) > 0) {
    log_.info(LogEvent::inbox_limit,
              client + ": its inbox has room again (" + human_bytes(bytes) + "); its senders go on",
              {.client = client});
  }
}

void SpaceWatch::judge_clients() {
  std::vector<std::string> clients(full_.begin(), full_.end());
  census_.visit([&](const std::string& client) { clients.push_back(client); });
  for (const std::string& client : clients) judge_client(client);
}

void SpaceWatch::on_measured() {
  if (bounds_clients()) {
    judge_clients();
    const Duration pause =
        std::max<Duration>(full_.empty() ? kMeasureEvery : kMeasureFull, (now() - measuring_since_) * kMeasureShare);
    measure_at_ = now() + pause;
  }
  // The one under way when the line was due may only have been a listing.
  if (must_say_ && !census_.is_measured()) return census_.measure_all();
  say_level();
}

// --- time ---

void SpaceWatch::handle_timeout() {
  const Instant time = now();
  if (is_watching() && !is_looking_ && (time >= look_at_ || received_ > received_max_)) look();
  if (time >= say_by_) say_level();
  if (time < measure_at_ || census_.is_busy()) return;
  measuring_since_ = time;
  measure_at_ = kNever;
  census_.measure_all();
}

Instant SpaceWatch::next_deadline() const {
  const bool is_due = received_ > received_max_;
  const Instant look = !is_watching() || is_looking_ ? kNever : is_due ? Instant{} : look_at_;
  return std::min({look, say_by_, census_.is_busy() ? kNever : measure_at_});
}

}  // namespace cproto
