#include "client/progress.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace cproto::client {

namespace {

constexpr Duration kReminder = 1h;
constexpr Duration kBeforeFirstProgress = 1s;  // what is done sooner needs no line

constexpr std::string_view kHeld = "the writer of this pipe is being held";

std::string next_try(Duration wait, const std::string& next) {
  if (wait == 0ns) return "trying " + (next.empty() ? "again" : next);
  return "next try in " + human_time(wait) + (next.empty() ? "" : ", at " + next);
}

}  // namespace

void Progress::on_trouble(Instant now, const Trouble& trouble, Duration wait, const std::string& next,
                          bool holds_writer) {
  if (trouble.comes_back_at_once) return;
  const std::string then = next_try(wait, next);
  std::string text = trouble.sentence;
  if (trouble.is_said) text = with_clause(text, counted_are(tally_.durable, options_.noun) + " durable");
  if (holds_writer) text = with_clause(text, kHeld);
  mention(now, now, trouble.where + (trouble.is_said ? " says" : ""), with_clause(text, then));
  waiting_ = trouble.where + ": " + with_clause(trouble.reason, then);
  tick(now);
}

void Progress::on_stall(Instant now, const std::string& where, Instant since, bool holds_writer) {
  std::string text = where + ": connected, but nothing has become durable for " + human_time(now - since);
  waiting_ = text;
  if (holds_writer) text = with_clause(text, kHeld);
  mention(now, since, "stall", text);
}

// Says `text` if nothing was said under `key` in this outage, or nothing at all for an hour.
void Progress::mention(Instant now, Instant since, const std::string& key, const std::string& text) {
  if (!outage_) outage_ = Outage{since, now, {}};
  const bool is_new = outage_->said.insert(key).second;
  if (!is_new && now - outage_->said_at < kReminder) return;
  outage_->said_at = now;
  if (!options_.is_quiet && (options_.is_verbose || !screen_.is_terminal())) screen_.say(text);
}

void Progress::on_established(const std::string& where, const SynAck& terms, const Congestion& congestion) {
  if (terms.outcome == SynAck::Outcome::restarted && !options_.is_quiet)
    screen_.say(where + ": this store does not know the session; going on behind " + grouped(terms.durable_messages) +
                " acknowledged; what followed may be missing or there twice");
  if (!options_.is_verbose || options_.is_quiet) return;
  screen_.say("connected to " + where + ": " +
              (terms.software.empty() ? "unnamed software" : printable(terms.software)) + ", store " +
              short_id(terms.store) +
              (congestion.name.empty() ? "" : ", congestion control " + congestion_clause(congestion)));
}

void Progress::on_durable(Instant now, const std::string& where) {
  const bool has_worked = std::exchange(has_worked_, true);
  if (!outage_) return;
  const Duration lasted = now - outage_->since;
  outage_.reset();
  waiting_.clear();
  if (!options_.is_quiet && (options_.is_verbose || !screen_.is_terminal()))
    screen_.say(where + (has_worked ? ": back after " : ": reached after ") + human_time(lasted));
}

void Progress::on_refused(const Tally::Refused& refused) {
  if (tally_.refused <= kNamedMax) screen_.say(refused.name + ": " + refused.reason);
  if (tally_.refused == kNamedMax + 1) screen_.say("more are refused; they are counted");
}

void Progress::on_problem(const Problem& problem) { screen_.say(problem.sentence); }

// "disk.img: 12 MiB of 100 MiB, 12 %, 230 MiB/s, 3 s left"
void Progress::show_file(Instant now) {
  const Tally::Current& file = tally_.current;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double rate = static_cast<double>(tally_.durable_bytes) / seconds;
  std::string text = file.name + ": " + human_bytes(file.durable);
  if (file.size && *file.size > 0)
    text += " of " + human_bytes(*file.size) + ", " + std::to_string(file.durable * 100 / *file.size) + " %";
  text += ", " + human_bytes(static_cast<std::uint64_t>(rate)) + "/s";
  if (file.size && rate > 0) {
    const double left = std::ceil(static_cast<double>(*file.size - file.durable) / rate);
    text += ", " + human_time(std::max(1s, std::chrono::seconds(static_cast<std::int64_t>(left)))) + " left";
  }
  screen_.show(text);
}

void Progress::on_note(const std::string& sentence) {
  if (!options_.is_quiet) screen_.say(sentence);
}

void Progress::tick(Instant now) {
  if (!is_animated()) return;
  if (outage_) return screen_.show(waiting_);
  if (now - start_ < kBeforeFirstProgress) return;
  if (!tally_.current.name.empty()) return show_file(now);
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const auto rate = static_cast<std::uint64_t>(static_cast<double>(tally_.durable_bytes) / seconds);
  screen_.show(counted(tally_.durable, options_.noun) + ", " + human_bytes(tally_.durable_bytes) + " durable, " +
               human_bytes(rate) + "/s");
}

}  // namespace cproto::client
