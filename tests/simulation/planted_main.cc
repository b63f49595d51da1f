// cproto-sim-planted [--seeds A..B] [--jobs N]: plants one bug after the other and runs seeds until one finds it. Exit
// status 0: each was found. cproto-sim-planted --plant BUG SEED: one run with it, as cproto-sim SEED.
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/simulation/planted.h"
#include "tests/simulation/runs.h"

namespace cproto {

static std::string the_planted;

bool planted(std::string_view bug) { return bug == the_planted; }
void plant(std::string_view bug) { the_planted = bug; }

}  // namespace cproto

namespace {

using namespace cproto::sim;

// By a seed that fails with the bug alone: one that fails without it proves nothing.
bool find(const char* bug, const RunOptions& options) {
  cproto::plant(bug);
  const RunResult result = run_seeds(options);
  cproto::plant({});
  RunOptions alone = options;
  alone.first = alone.last = result.first_failure;
  const bool is_found = result.failures > 0 && run_seeds(alone).failures == 0;
  if (!is_found && result.failures > 0)
    std::printf("NOT FOUND %s: seed %" PRIu64 " fails without it, too\n", bug, result.first_failure);
  else if (!is_found)
    std::printf("NOT FOUND %s in %" PRIu64 " runs\n", bug, result.runs);
  else
    std::printf("found %s by seed %" PRIu64 ", %" PRIu64 " runs, %.1f s: %s\n", bug, result.first_failure, result.runs,
                result.seconds, result.what.c_str());
  std::fflush(stdout);
  return is_found;
}

int usage() {
  std::fprintf(stderr,
               "usage: cproto-sim-planted [--seeds A..B] [--jobs N]\n       cproto-sim-planted --plant BUG SEED\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  RunOptions options{.first = 1, .last = 5000, .jobs = 1, .failures_max = 1, .is_quiet = true};
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--plant") == 0 && i + 2 < argc) {
      cproto::plant(argv[i + 1]);
      return run_seed(std::strtoull(argv[i + 2], nullptr, 10), false) ? 0 : 1;
    }
    if (std::strcmp(argv[i], "--jobs") == 0 && i + 1 < argc)
      options.jobs = static_cast<unsigned>(std::strtoul(argv[++i], nullptr, 10));
    else if (std::strcmp(argv[i], "--seeds") != 0 || ++i >= argc ||
             std::sscanf(argv[i], "%" SCNu64 "..%" SCNu64, &options.first, &options.last) != 2)
      return usage();
  }
  if (options.jobs == 0 || options.jobs > kJobsMax) return usage();
  const auto found = std::count_if(cproto::kPlantedBugs.begin(), cproto::kPlantedBugs.end(),
                                   [&](const char* bug) { return find(bug, options); });
  return static_cast<std::size_t>(found) == cproto::kPlantedBugs.size() ? 0 : 1;
}
