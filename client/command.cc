#include "client/command.h"

#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>
#include <variant>

#include "client/console.h"
#include "client/progress.h"
#include "client/report.h"
#include "client/signals.h"
#include "client/source.h"
#include "client/transfer.h"
#include "client/transfer_state.h"
#include "proto/digest.h"

namespace cproto::client {

namespace {

constexpr unsigned kColumnsUnknown = 80;

unsigned terminal_columns() {
  if (isatty(STDERR_FILENO) == 0) return 0;
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

std::string last_word(const Outcome& outcome, const Tally& tally, const Source& source) {
  if (outcome.signal != 0)
    return std::string("interrupted by ") + signal_name(outcome.signal) + "; " +
           durable_clause(tally, source.total(), source.noun()) + " acknowledged";
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
  const bool is_asked = options.verbose || console.is_terminal();
  if (is_success && is_asked && !options.quiet) console.say(summary(outcome, tally, source.noun()));
}

// Names the transfer among all that are remembered here: "the same command".
std::string transfer_name(const Options& options) {
  std::string key = options.client_id + '\n' + options.channel + '\n' + options.as;
  for (const ServerAddress& server : options.servers) key += '\n' + to_string(server);
  for (const std::string& path : options.files) {
    std::error_code failed;
    key += '\n' + std::filesystem::absolute(path, failed).lexically_normal().string();
  }
  FileDigest digest;
  digest.update(as_bytes(key));
  return to_hex(ByteView(digest.value()).first(8)) + ".files";
}

// What an earlier run of the same command left, and the place to remember this one.
std::variant<std::optional<SavedTransfer>, Problem> open_state(const Options& options, TransferState& state,
                                                               Console& console) {
  const int error =
      options.state_directory.empty() ? ENOENT : state.open(options.state_directory, transfer_name(options));
  if (error == EWOULDBLOCK)
    return Problem{Status::temp_fail,
                   "the same transfer is running already (pid " + std::to_string(state.holder()) + ")"};
  if (error != 0) {
    if (!options.quiet) console.say(cannot_remember(options, error));
    return std::nullopt;
  }
  if (!options.restart) return state.load();
  (void)state.load();  // what is written next is newer
  return std::nullopt;
}

// Ends without waiting for a name service that does not answer: its thread cannot be called back.
[[noreturn]] void leave_at_once(int status) { ::_exit(status); }

struct End {
  int status = 0;
  int signal = 0;
};

End run(const Options& options) {
  Loop loop;
  Console console(terminal_columns());
  Transfer* transfer = nullptr;
  auto made = make_source(loop.get(), options, [&transfer] { transfer->wake(); });
  if (const Problem* problem = std::get_if<Problem>(&made)) {
    console.say(problem->sentence);
    return {static_cast<int>(problem->status), 0};
  }
  Source& source = *std::get<std::unique_ptr<Source>>(made);
  TransferState state;
  std::optional<SavedTransfer> saved;
  if (source.can_continue()) {
    auto opened = open_state(options, state, console);
    if (const Problem* problem = std::get_if<Problem>(&opened)) {
      console.say(problem->sentence);
      return {static_cast<int>(problem->status), 0};
    }
    saved = std::get<std::optional<SavedTransfer>>(std::move(opened));
  }
  Tally tally;
  Progress progress(console, {options.quiet, options.verbose, source.noun()}, tally, now());
  const auto trace = [&console](const std::string& lines) { console.raw(lines); };
  Transfer run(loop.get(), options, source, tally, progress, seeded(), state.is_open() ? &state : nullptr,
               std::move(saved), options.trace ? Transfer::TraceSink(trace) : nullptr);
  transfer = &run;
  const Signals signals(loop.get(), [&run](int signal) { run.interrupt(signal); });
  run.start();
  uv_run(loop.get(), UV_RUN_DEFAULT);
  const Outcome& outcome = run.outcome();
  report_end(options, outcome, tally, source, console);
  const End end{static_cast<int>(outcome.causes.status()), outcome.signal};
  if (run.has_lookup_left()) {
    if (end.signal != 0) die_of(end.signal);
    leave_at_once(end.status);
  }
  return end;
}

}  // namespace

std::string cannot_remember(const Options& options, int error) {
  const std::string where = options.state_directory.empty()
                                ? "no folder for state (--state DIR)"
                                : printable(options.state_directory) + ": " + std::strerror(error);
  return where + "; if this is interrupted it will begin anew";
}

int run_command(const Options& options) {
  ignore_broken_pipes();
  const End end = run(options);
  if (end.signal != 0) die_of(end.signal);
  return end.status;
}

}  // namespace cproto::client
