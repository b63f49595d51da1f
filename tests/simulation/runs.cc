#include "tests/simulation/runs.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>

#include "tests/simulation/world.h"

namespace cproto::sim {

namespace {

constexpr std::uint64_t kTwiceEvery = 64;
constexpr unsigned kSecondsMax = 60;
constexpr std::size_t kWhat = 400;

// What all jobs share.
struct Board {
  std::atomic<std::uint64_t> next{0};
  std::atomic<unsigned> failures{0};
  std::atomic<bool> has_first{false};
  std::uint64_t first_failure = 0;
  char what[kWhat] = {};
  struct Job {
    std::uint64_t seed = 0;
    std::uint64_t runs = 0;
    Coverage coverage;
  };
  std::array<Job, kJobsMax> jobs;

  void fail(std::uint64_t seed, const std::string& text) {
    ++failures;
    if (has_first.exchange(true)) return;
    first_failure = seed;
    std::snprintf(what, kWhat, "%s", text.c_str());
  }
};

const World* running = nullptr;  // for whoever dies of an assertion

void print_last_words(int) {
  if (running == nullptr) return;
  running->trace_log().print_last();
  std::fflush(stdout);
}

struct Outcome {
  Verdict verdict;
  bool is_well() const { return verdict.failure.empty(); }
};

Outcome run(std::uint64_t seed, bool is_printing, bool is_quiet) {
  World world(seed, is_printing);
  running = is_quiet ? nullptr : &world;
  Outcome outcome{world.run()};
  running = nullptr;
  if (!outcome.is_well() && !is_quiet) world.trace_log().print_last();
  return outcome;
}

void print_outcome(std::uint64_t seed, const Outcome& outcome) {
  const Verdict& verdict = outcome.verdict;
  std::printf("%s %" PRIu64 ": %s, %" PRIu64 " events, %.1f s, %" PRIu64 " kills, %" PRIu64
              " power cuts, trace %016" PRIx64 "\n",
              outcome.is_well() ? "ok" : "FAILED", seed, outcome.is_well() ? "all is well" : verdict.failure.c_str(),
              verdict.events, std::chrono::duration<double>(verdict.lasted).count(),
              verdict.coverage.times(Fault::server_killed), verdict.coverage.times(Fault::power_cut),
              verdict.trace_hash);
  if (!outcome.is_well()) {
    std::printf("injected:");
    for (std::size_t i = 0; i < kFaults; ++i)
      if (const std::uint64_t times = verdict.coverage.times(static_cast<Fault>(i)))
        std::printf(" %s %" PRIu64, fault_name(static_cast<Fault>(i)), times);
    std::printf("\nreplay: cproto-sim %" PRIu64 "\n", seed);
  }
  std::fflush(stdout);
}

// Takes seeds until there are none.
void work(const RunOptions& options, Board& board, Board::Job& job) {
  std::signal(SIGABRT, print_last_words);
  while (board.failures < options.failures_max) {
    const std::uint64_t seed = job.seed = board.next++;
    if (seed > options.last) return;
    alarm(kSecondsMax);
    Outcome outcome = run(seed, false, options.is_quiet);
    if (outcome.is_well() && seed % kTwiceEvery == 0 &&
        run(seed, false, true).verdict.trace_hash != outcome.verdict.trace_hash)
      outcome.verdict.failure = "a second run leaves another trace";
    alarm(0);
    ++job.runs;
    job.coverage.add(outcome.verdict.coverage);
    if (outcome.is_well()) continue;
    board.fail(seed, outcome.verdict.failure);
    if (!options.is_quiet) print_outcome(seed, outcome);
  }
}

pid_t start(const RunOptions& options, Board& board, unsigned number) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child != 0) return child;
  if (options.is_quiet && std::freopen("/dev/null", "w", stderr) == nullptr) std::_Exit(2);  // an assertion's words
  work(options, board, board.jobs[number]);
  std::fflush(stdout);
  std::_Exit(0);
}

void on_death(int status, const RunOptions& options, Board& board, std::uint64_t seed) {
  const bool has_signal = WIFSIGNALED(status);
  const std::string what = !has_signal                   ? "ended with " + std::to_string(WEXITSTATUS(status))
                           : WTERMSIG(status) == SIGALRM ? "took more than a minute"
                           : WTERMSIG(status) == SIGABRT ? "died of an assertion"
                                                         : "died of signal " + std::to_string(WTERMSIG(status));
  board.fail(seed, what);
  if (options.is_quiet) return;
  std::printf("FAILED %" PRIu64 ": %s\nreplay: cproto-sim %" PRIu64 "\n", seed, what.c_str(), seed);
  std::fflush(stdout);
}

}  // namespace

bool run_seed(std::uint64_t seed, bool is_printing) {
  std::signal(SIGABRT, print_last_words);
  const Outcome outcome = run(seed, is_printing, false);
  print_outcome(seed, outcome);
  return outcome.is_well();
}

RunResult run_seeds(const RunOptions& options) {
  void* shared = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) std::abort();
  Board& board = *new (shared) Board;
  board.next = options.first;
  const auto began = std::chrono::steady_clock::now();
  std::map<pid_t, unsigned> running_jobs;
  for (unsigned number = 0; number < std::min(options.jobs, kJobsMax); ++number)
    running_jobs[start(options, board, number)] = number;
  while (!running_jobs.empty()) {
    int status = 0;
    const auto it = running_jobs.find(wait(&status));
    if (it == running_jobs.end()) continue;
    const unsigned number = it->second;
    running_jobs.erase(it);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
    ++board.jobs[number].runs;
    on_death(status, options, board, board.jobs[number].seed);
    running_jobs[start(options, board, number)] = number;
  }
  RunResult result;
  for (const Board::Job& job : board.jobs) {
    result.runs += job.runs;
    result.coverage.add(job.coverage);
  }
  result.failures = board.failures;
  result.first_failure = board.first_failure;
  result.what = board.what;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  munmap(shared, sizeof(Board));
  return result;
}

}  // namespace cproto::sim
