// W2: one message in flight, durable. Beside it, in each run: a bare ping-pong and a bare append + fdatasync, which
// nothing can be faster than together, and the bare server, which does both.
#include <algorithm>

#include "tests/bench/append_sync.h"
#include "tests/bench/ping_pong.h"
#include "tests/bench/works.h"

namespace cproto::bench {

namespace {

constexpr std::uint64_t kCount = 20'000;
constexpr std::uint64_t kFileSize = 64u << 20;

}  // namespace

Trouble measure_latency(Benchmark& benchmark) {
  const std::uint64_t count = benchmark.count(kCount);
  LoadOptions load = benchmark.load_options(OperationMode::step_by_step, std::max<std::uint64_t>(1, count / 10));
  if (const LoadResult warm_up = benchmark.run(load); !warm_up.trouble.empty()) return warm_up.trouble;
  load.count = 1;
  const auto frame_size = static_cast<std::size_t>(benchmark.frame_bytes(load));
  load.count = count;
  const auto file = AppendFile::make(benchmark.target().directory, kFileSize);
  if (file == nullptr) return trouble_with(benchmark.target().directory);

  Section& section = benchmark.add_section(
      "latency", "latency, step-by-step, " + std::to_string(count) + " round trips a run, microseconds");
  for (std::size_t i = 0; i < benchmark.options().runs; ++i) {
    LoadResult result = benchmark.run(load);
    if (!result.trouble.empty()) return result.trouble;
    PlainLoadResult bare = benchmark.run_bare(load);
    if (!bare.trouble.empty()) return bare.trouble;
    PingPong game = ping_pong(frame_size, count);
    if (!game.trouble.empty()) return game.trouble;
    auto synced = file->sync_blocks(count);
    if (!synced) return trouble_with(benchmark.target().directory);

    const Percentiles ours = percentiles_of(result.round_trips);
    const Percentiles floor = percentiles_of(bare.round_trips);
    const Percentiles network = percentiles_of(game.round_trips);
    const Percentiles disk = percentiles_of(*synced);
    section.add("cproto_p50_us", "cproto, p50", 1, ours.p50);
    section.add("cproto_p90_us", "cproto, p90", 1, ours.p90);
    section.add("cproto_p99_us", "cproto, p99", 1, ours.p99);
    section.add("cproto_max_us", "cproto, max", 1, ours.max);
    section.add("bare_p50_us", "bare server, p50", 1, floor.p50);
    section.add("bare_p99_us", "bare server, p99", 1, floor.p99);
    section.add("pingpong_p50_us", "bare ping-pong, p50", 1, network.p50);
    section.add("pingpong_p99_us", "bare ping-pong, p99", 1, network.p99);
    section.add("sync_p50_us", "bare 4 KiB + fdatasync, p50", 1, disk.p50);
    section.add("sync_p99_us", "bare 4 KiB + fdatasync, p99", 1, disk.p99);
    section.add("over_limits_p50_us", "cproto above both together, p50", 1, ours.p50 - network.p50 - disk.p50);
    section.add("ratio_p50", "cproto : ping-pong and fdatasync, p50", 2, ours.p50 / (network.p50 + disk.p50));
    section.add("ratio_p99", "cproto : ping-pong and fdatasync, p99", 2, ours.p99 / (network.p99 + disk.p99));
    section.add("ratio_to_bare", "cproto : bare server, p50", 2, ours.p50 / floor.p50);
    section.add("client_cpu_us", "client CPU a message", 1, result.client_cpu * kMega / static_cast<double>(count));
    if (benchmark.target().daemon != nullptr)
      section.add("daemon_cpu_us", "daemon CPU a message", 1, result.server_cpu * kMega / static_cast<double>(count));
  }
  return {};
}

}  // namespace cproto::bench
