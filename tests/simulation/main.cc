// cproto-sim SEED, cproto-sim --seeds A..B [--jobs N], --trace: runs of the simulator, one line each.
#include <sys/wait.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "tests/simulation/world.h"

namespace {

using cproto::sim::Verdict;

constexpr unsigned kFailuresMax = 50;  // enough to look at

struct Arguments {
  std::uint64_t first = 1;
  std::uint64_t last = 1;
  unsigned jobs = 1;
  bool is_printing = false;
  bool is_range = false;
};

bool run_seed(std::uint64_t seed, const Arguments& arguments) {
  cproto::sim::World world(seed, arguments.is_printing);
  const Verdict verdict = world.run();
  const bool is_well = verdict.failure.empty();
  if (is_well && arguments.is_range) return true;
  if (!is_well) world.trace_log().print_last();
  std::printf("%s %" PRIu64 ": %s, %" PRIu64 " events, %.1f s, %u crashes (%u power cuts), trace %016" PRIx64 "\n",
              is_well ? "ok" : "FAILED", seed, is_well ? "all is well" : verdict.failure.c_str(), verdict.events,
              std::chrono::duration<double>(verdict.lasted).count(), verdict.crashes, verdict.power_cuts,
              verdict.trace_hash);
  if (!is_well) std::printf("replay: cproto-sim %" PRIu64 "\n", seed);
  std::fflush(stdout);
  return is_well;
}

// One process a seed: an assertion that fails takes only its own run with it.
pid_t start(std::uint64_t seed, const Arguments& arguments) {
  const pid_t child = fork();
  if (child == 0) std::_Exit(run_seed(seed, arguments) ? 0 : 1);
  return child;
}

// Waits for one run. Whether it was well.
bool finish_one(std::map<pid_t, std::uint64_t>& running) {
  int status = 0;
  const pid_t child = wait(&status);
  const auto it = running.find(child);
  if (it == running.end()) return false;
  const std::uint64_t seed = it->second;
  running.erase(it);
  if (WIFSIGNALED(status))
    std::printf("FAILED %" PRIu64 ": died of signal %d\nreplay: cproto-sim %" PRIu64 "\n", seed, WTERMSIG(status),
                seed);
  std::fflush(stdout);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int run_range(const Arguments& arguments) {
  std::map<pid_t, std::uint64_t> running;
  unsigned failures = 0;
  std::uint64_t next = arguments.first;
  while ((next <= arguments.last && failures < kFailuresMax) || !running.empty()) {
    if (next <= arguments.last && failures < kFailuresMax && running.size() < arguments.jobs) {
      const pid_t child = start(next, arguments);
      if (child < 0) return 2;
      running[child] = next++;
    } else if (!finish_one(running)) {
      ++failures;
    }
  }
  std::printf("seeds %" PRIu64 " to %" PRIu64 ": %u failed\n", arguments.first, next - 1, failures);
  return failures == 0 ? 0 : 1;
}

bool parse(int argc, char** argv, Arguments& arguments) {
  bool has_seed = false;
  for (int i = 1; i < argc; ++i) {
    const char* argument = argv[i];
    if (std::strcmp(argument, "--trace") == 0) {
      arguments.is_printing = true;
    } else if (std::strcmp(argument, "--jobs") == 0 && i + 1 < argc) {
      arguments.jobs = static_cast<unsigned>(std::strtoul(argv[++i], nullptr, 10));
    } else if (std::strcmp(argument, "--seeds") == 0 && i + 1 < argc) {
      has_seed = arguments.is_range =
          std::sscanf(argv[++i], "%" SCNu64 "..%" SCNu64, &arguments.first, &arguments.last) == 2;
    } else if (argument[0] != '-') {
      arguments.first = arguments.last = std::strtoull(argument, nullptr, 10);
      has_seed = true;
    } else {
      return false;
    }
  }
  return has_seed && arguments.jobs > 0;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    std::fprintf(stderr, "usage: cproto-sim SEED [--trace]\n       cproto-sim --seeds A..B [--jobs N]\n");
    return 2;
  }
  if (!arguments.is_range) return run_seed(arguments.first, arguments) ? 0 : 1;
  return run_range(arguments);
}
