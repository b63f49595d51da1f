// cproto-sim SEED, cproto-sim --seeds A..B [--jobs N], --trace: runs of the simulator. Exit status 0: all was well.
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/simulation/runs.h"

namespace {

using namespace cproto::sim;

// In so many runs every kind of fault has its turn.
constexpr std::uint64_t kRunsForAll = 1000;

struct Arguments {
  RunOptions runs;
  bool is_printing = false;
  bool is_range = false;
};

bool parse(int argc, char** argv, Arguments& arguments) {
  RunOptions& runs = arguments.runs;
  bool has_seed = false;
  for (int i = 1; i < argc; ++i) {
    const char* argument = argv[i];
    if (std::strcmp(argument, "--trace") == 0) {
      arguments.is_printing = true;
    } else if (std::strcmp(argument, "--jobs") == 0 && i + 1 < argc) {
      runs.jobs = static_cast<unsigned>(std::strtoul(argv[++i], nullptr, 10));
    } else if (std::strcmp(argument, "--seeds") == 0 && i + 1 < argc) {
      has_seed = arguments.is_range = std::sscanf(argv[++i], "%" SCNu64 "..%" SCNu64, &runs.first, &runs.last) == 2;
    } else if (argument[0] != '-') {
      runs.first = runs.last = std::strtoull(argument, nullptr, 10);
      has_seed = true;
    } else {
      return false;
    }
  }
  return has_seed && runs.jobs > 0 && runs.jobs <= kJobsMax;
}

int run_range(const RunOptions& options) {
  const RunResult result = run_seeds(options);
  std::string never;
  for (std::size_t i = 0; i < kFaults; ++i) {
    const auto fault = static_cast<Fault>(i);
    const std::uint64_t times = result.coverage.times(fault);
    std::printf("%-22s %12" PRIu64 "\n", fault_name(fault), times);
    if (times == 0) never += std::string(never.empty() ? "" : ", ") + fault_name(fault);
  }
  const bool lacks_some = !never.empty() && result.runs >= kRunsForAll;
  if (lacks_some) std::printf("never injected: %s\n", never.c_str());
  const bool is_well = result.failures == 0 && !lacks_some;
  std::printf("%s seeds %" PRIu64 " to %" PRIu64 ": %" PRIu64 " runs, %u failed, %.1f s, %.1f runs a second\n",
              is_well ? "ok" : "FAILED", options.first, options.last, result.runs, result.failures, result.seconds,
              static_cast<double>(result.runs) / result.seconds);
  return is_well ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    std::fprintf(stderr, "usage: cproto-sim SEED [--trace]\n       cproto-sim --seeds A..B [--jobs N]\n");
    return 2;
  }
  if (!arguments.is_range) return run_seed(arguments.runs.first, arguments.is_printing) ? 0 : 1;
  return run_range(arguments.runs);
}
