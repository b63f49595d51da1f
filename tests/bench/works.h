// The works: what is measured, by name. A work adds its figures to the benchmark; one file of `works` for each.
#pragma once

#include <span>
#include <string_view>

#include "tests/bench/benchmark.h"

namespace cproto::bench {

struct Work {
  std::string_view name;
  std::string_view short_name;  // as README.md and scripts/bench have it; empty: none
  std::string_view about;       // for --help
  Trouble (*measure)(Benchmark&);
};
std::span<const Work> all_works();
// By either name; nullptr if there is none.
const Work* find_work(std::string_view name);

Trouble measure_throughput(Benchmark& benchmark);
Trouble measure_latency(Benchmark& benchmark);
Trouble measure_large(Benchmark& benchmark);
Trouble measure_file(Benchmark& benchmark);
Trouble measure_many(Benchmark& benchmark);
Trouble measure_idle(Benchmark& benchmark);
Trouble measure_recovery(Benchmark& benchmark);
Trouble measure_growth(Benchmark& benchmark);
Trouble measure_lines(Benchmark& benchmark);
Trouble measure_stream(Benchmark& benchmark);
Trouble measure_tls(Benchmark& benchmark);
Trouble measure_fairness(Benchmark& benchmark);
Trouble measure_limits(Benchmark& benchmark);

}  // namespace cproto::bench
