// Many runs on several processors: a process for each job takes one seed after the other; a run that dies takes only
// its own job with it, which is started again.
#pragma once

#include <cstdint>
#include <string>

#include "tests/simulation/faults.h"

namespace cproto::sim {

struct RunOptions {
  std::uint64_t first = 1;
  std::uint64_t last = 1;
  unsigned jobs = 1;           // up to kJobsMax
  unsigned failures_max = 50;  // then it ends: enough to look at
  bool is_quiet = false;       // failures are counted and not printed
};
inline constexpr unsigned kJobsMax = 64;

struct RunResult {
  std::uint64_t runs = 0;
  unsigned failures = 0;
  std::uint64_t first_failure = 0;  // its seed
  std::string what;                 // of the first failure
  double seconds = 0;
  Coverage coverage;
};

// Prints each failure: the last that happened, what is wrong, and the command that replays it. `is_printing`: all that
// happens. Whether all was well.
bool run_seed(std::uint64_t seed, bool is_printing);

// Every 64th seed is run twice, and has to leave the same trace. A run that takes more than a minute has failed.
RunResult run_seeds(const RunOptions& options);

}  // namespace cproto::sim
