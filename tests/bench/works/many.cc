// W5: many connections at once, a session on each. Beside it, in each run: the bare server with the same.
#include <algorithm>

#include "tests/bench/clock.h"
#include "tests/bench/works.h"

namespace cproto::bench {

namespace {

constexpr std::uint64_t kCountEach = 1000;

struct Case {
  std::size_t connections;
  std::uint32_t window;
};
constexpr Case kCases[] = {{100, 1}, {100, 64}, {1000, 1}, {1000, 64}};

double rate_of(std::uint64_t count, Duration lasted) { return static_cast<double>(count) / seconds(lasted); }

Trouble measure_once(Benchmark& benchmark, const LoadOptions& load, Section& section) {
  benchmark.wait_until_quiet();
  const DaemonProcess* daemon = benchmark.target().daemon;
  const DaemonProcess::Syncs before = daemon != nullptr ? daemon->syncs() : DaemonProcess::Syncs{};
  LoadResult result = benchmark.run_at_once(load);
  if (!result.trouble.empty()) return result.trouble;
  const DaemonProcess::Syncs after = daemon != nullptr ? daemon->syncs() : DaemonProcess::Syncs{};
  PlainLoadResult bare = benchmark.run_bare(load);
  if (!bare.trouble.empty()) return bare.trouble;

  const Percentiles ours = percentiles_of(result.round_trips);
  const Percentiles floor = percentiles_of(bare.round_trips);
  const double rate = rate_of(load.count, result.lasted);
  section.add("messages_per_second", "cproto, messages/s", 0, rate);
  section.add("p50_us", "cproto, p50 of an acknowledgement, us", 1, ours.p50);
  section.add("p99_us", "cproto, p99 of an acknowledgement, us", 1, ours.p99);
  if (after.count > before.count) {
    const double batch = micros(result.lasted) / (after.count - before.count);
    section.add("batch_us", "cproto, time of a batch, us", 1, batch);
    section.add("p99_in_batches", "cproto, p99 in batch times", 2, ours.p99 / batch);
    section.add("daemon_cpu_us", "daemon CPU a message, us", 2,
                result.server_cpu * kMega / static_cast<double>(load.count));
  }
  section.add("client_cpu_us", "client CPU a message, us", 2,
              result.client_cpu * kMega / static_cast<double>(load.count));
  section.add("bare_messages_per_second", "bare server, messages/s", 0, rate_of(load.count, bare.lasted));
  section.add("bare_p99_us", "bare server, p99 of an acknowledgement, us", 1, floor.p99);
  section.add("ratio_to_bare", "cproto : bare server", 2, rate / rate_of(load.count, bare.lasted));
  return {};
}

}  // namespace

Trouble measure_many(Benchmark& benchmark) {
  for (const Case& one : kCases) {
    LoadOptions load = benchmark.load_options(OperationMode::burst, benchmark.count(one.connections * kCountEach));
    load.connections = one.connections;
    load.window = one.window;
    load.is_timed = true;
    if (const LoadResult warm_up = benchmark.run_at_once(load); !warm_up.trouble.empty()) return warm_up.trouble;
    const std::string name = std::to_string(one.connections) + "-" + std::to_string(one.window);
    Section& section = benchmark.add_section("many-" + name, std::to_string(one.connections) + " connections, " +
                                                                 std::to_string(one.window) + " in flight on each, " +
                                                                 std::to_string(load.count) + " messages in all");
    for (std::size_t i = 0; i < benchmark.options().runs; ++i)
      if (Trouble trouble = measure_once(benchmark, load, section); !trouble.empty()) return trouble;
  }
  return {};
}

}  // namespace cproto::bench
