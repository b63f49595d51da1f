#include "client/command.h"

#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <variant>

#include "client/console.h"
#include "client/credentials.h"
#include "client/followed_log.h"
#include "client/journal_source.h"
#include "client/progress.h"
#include "client/recall.h"
#include "client/report.h"
#include "client/signals.h"
#include "client/source.h"
#include "client/transfer.h"
#include "client/transfer_state.h"
#include "client/uv_machine.h"
#include "client/uv_network.h"

namespace cproto::client {

namespace {

constexpr unsigned kColumnsUnknown = 80;

bool is_typed(const Options& options) {
  return isatty(STDIN_FILENO) != 0 && std::count(options.files.begin(), options.files.end(), "-") > 0;
}

// A line of progress would wipe what somebody types: to them lines are said, as without a terminal.
unsigned progress_columns(const Options& options) {
  if (isatty(STDERR_FILENO) == 0 || is_typed(options)) return 0;
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : kColumnsUnknown;
}

Random seeded() {
  std::uint64_t seed = uv_hrtime();
  if (getrandom(&seed, sizeof seed, 0) < 0) seed ^= static_cast<std::uint64_t>(getpid());
  return Random(seed);
}

// The loop, and the turns it needs to let go of what was closed.
class Loop {
 public:
  Loop() { uv_loop_init(&loop_); }
  ~Loop() {
    uv_run(&loop_, UV_RUN_DEFAULT);
    uv_loop_close(&loop_);
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  uv_loop_t* get() { return &loop_; }

 private:
  uv_loop_t loop_;
};

// What a followed log says: to people, and for the summary.
class LossTeller final : public LogListener {
 public:
  explicit LossTeller(Tally& tally) : tally_(tally) {}
  void tell(Progress& progress) { progress_ = &progress; }

  void on_lost(const LostBytes& lost) override {
    ++tally_.losses;
    tally_.lost_bytes += lost.bytes;
    on_note("lost: " + lost.what + "; " + amount(lost));
  }
  void on_note(const std::string& sentence) override {
    if (progress_ != nullptr) progress_->on_note(sentence);
  }

 private:
  static std::string amount(const LostBytes& lost) {
    if (lost.amount == LostBytes::Amount::unknown) return "an unknown number of bytes";
    const bool is_exact = lost.amount == LostBytes::Amount::exact;
    return (is_exact ? "" : "at least ") + counted(lost.bytes, {"byte", "bytes"});
  }

  Tally& tally_;
  Progress* progress_ = nullptr;
};

std::string last_word(const Outcome& outcome, const Tally& tally, const Source& source) {
  if (outcome.signal != 0)
    return std::string("interrupted by ") + signal_name(outcome.signal) + "; " +
           durable_clause(tally, source.total(), source.noun()) + " acknowledged" +
           (source.can_continue() ? "; the same command continues" : "");
  if (!outcome.sentence.empty()) return outcome.sentence;
  return tally.refused > 0 ? refused_clause(tally, source.noun()) : "";
}

void report_end(const Options& options, const Outcome& outcome, const Tally& tally, const Source& source,
                Console& console) {
  console.show("");
  const std::string word = last_word(outcome, tally, source);
  if (!word.empty()) console.say(word);
  const bool is_success = outcome.causes.status() == Status::ok && outcome.signal == 0;
  if (options.json) return Console::print(json_report(outcome, tally, options));
  if (is_success && options.job == Options::Job::check) return Console::print(check_report(outcome));
  const bool is_asked = options.verbose || isatty(STDERR_FILENO) != 0;
  if (is_success && is_asked && !options.quiet) console.say(summary(outcome, tally, source.noun()));
}

// Ends without waiting for a name service that does not answer: its thread cannot be called back.
[[noreturn]] void leave_at_once(int status) { ::_exit(status); }

// libuv aborts where it finds none for itself.
bool has_descriptors() {
  std::array<int, 8> taken{};
  for (int& fd : taken) fd = ::dup(STDERR_FILENO);
  for (const int fd : taken) ::close(fd);
  return taken.back() >= 0;
}

struct End {
  int status = 0;
  int signal = 0;
};

// Whose the key or the certificate is sends, if nobody else was named.
std::optional<Problem> take_identity(const Credentials& credentials, Options& options) {
  if (credentials.client_id.empty()) return std::nullopt;
  if (!options.client_id_is_given) options.client_id = credentials.client_id;
  const bool is_key = !options.tls.key.empty();  // of a certificate the server says whose it is
  if (!is_key || options.client_id == credentials.client_id) return std::nullopt;
  return Problem{Status::usage, options.tls.key + " is the key of " + credentials.client_id +
                                    ", and the client id is " + options.client_id + "; leave it out"};
}

End run(Options options) {
  Loop loop;
  Console console(progress_columns(options));
  Transfer* transfer = nullptr;
  Tally tally;
  LossTeller losses(tally);
  const auto give_up = [&](const Problem& problem) {
    console.say(problem.sentence);
    Outcome outcome;
    outcome.causes.add(problem.status);
    outcome.sentence = problem.sentence;
    if (options.json) Console::print(json_report(outcome, tally, options));
    return End{static_cast<int>(problem.status), 0};
  };
  Credentials credentials;
  if (const auto problem = read_credentials(options.tls, credentials)) return give_up(*problem);
  if (const auto problem = take_identity(credentials, options)) return give_up(*problem);
  if (!credentials.warning.empty() && !options.quiet) console.say(credentials.warning);
  UvMachine machine(loop.get());
  const auto wake = [&transfer] { transfer->wake(now()); };
  auto made = options.job == Options::Job::journal ? make_journal_source(loop.get(), options, wake, losses)
                                                   : make_source(machine, options, wake, losses);
  if (const Problem* problem = std::get_if<Problem>(&made)) return give_up(*problem);
  Source& source = *std::get<std::unique_ptr<Source>>(made);
  Progress progress(console, {options.quiet, options.verbose, source.noun()}, tally, now());
  losses.tell(progress);
  TransferState state(machine.files());
  auto remembered = recall(options, source, state, progress);
  if (const Problem* problem = std::get_if<Problem>(&remembered)) return give_up(*problem);
  auto& saved = std::get<std::optional<SavedTransfer>>(remembered);
  if (!saved)
    if (const auto problem = source.begin()) return give_up(*problem);
  const auto trace = [&console](const std::string& lines) { console.raw(lines); };
  UvNetwork network(loop.get(), options.congestion, credentials.tls, options.tls.server_name);
  Transfer run(network, now(), options, source, tally, progress, seeded(), state.is_open() ? &state : nullptr,
               std::move(saved), options.trace ? Transfer::TraceSink(trace) : nullptr);
  network.serve(run);
  transfer = &run;
  const Signals signals(loop.get(), [&run](int signal) { run.interrupt(now(), signal); });
  run.start(now());
  uv_run(loop.get(), UV_RUN_DEFAULT);
  const Outcome& outcome = run.outcome();
  report_end(options, outcome, tally, source, console);
  // A log that is followed goes on whenever it is followed again: being told to end is no failure.
  const bool was_ended = options.is_endless() && outcome.signal != 0;
  const End end{was_ended ? 0 : static_cast<int>(outcome.causes.status()), was_ended ? 0 : outcome.signal};
  if (network.has_lookup_left()) {
    if (end.signal != 0) die_of(end.signal);
    leave_at_once(end.status);
  }
  return end;
}

}  // namespace

int run_command(const Options& options) {
  ignore_broken_pipes();
  if (!has_descriptors()) {
    Console(0).say("too many open files; ulimit -n allows too few");
    return static_cast<int>(Status::os_error);
  }
  const End end = run(options);
  if (end.signal != 0) die_of(end.signal);
  return end.status;
}

}  // namespace cproto::client
