// W1 and W3: messages as fast as they go. Beside it, in each run: the bare server with the same messages, in both ways
// to read, and append + fdatasync of the same bytes with no network at all.
#include <algorithm>

#include "tests/bench/append_sync.h"
#include "tests/bench/clock.h"
#include "tests/bench/inbox.h"
#include "tests/bench/payload.h"
#include "tests/bench/works.h"

namespace cproto::bench {

namespace {

constexpr std::uint64_t kCount = 1'000'000;
constexpr std::uint64_t kLargeCount = 200'000;
constexpr std::size_t kLargeSize = 4096;
// A longer append begins again at the front of its file.
constexpr std::uint64_t kAppendFileMax = 256u << 20;

void add_rate(Section& section, const std::string& key, const std::string& label, double rate, std::size_t size) {
  section.add(key + "messages_per_second", label + ", messages/s", 0, rate);
  section.add(key + "megabytes_per_second", label + ", MB/s of payload", 1, rate * static_cast<double>(size) / kMega);
}

// One run of cproto and of each of its limits.
Trouble measure_once(Benchmark& benchmark, const LoadOptions& load, AppendFile& file, Section& section) {
  const auto messages = static_cast<double>(load.count);
  const std::size_t size = load.payload.size();
  const DaemonProcess* daemon = benchmark.target().daemon;
  benchmark.wait_until_quiet();
  if (daemon != nullptr) clear_inbox(daemon->inbox());
  const double cpu = benchmark.server_cpu();
  const LoadResult result = benchmark.run_at_once(load);
  if (!result.trouble.empty()) return result.trouble;
  std::optional<Duration> delivered;
  if (daemon != nullptr) delivered = await_inbox(daemon->inbox(), load.count * (size + 1), result.begin);
  benchmark.wait_until_quiet();
  const double cpu_delivered = benchmark.server_cpu() - cpu;
  const PlainLoadResult bare = benchmark.run_bare(load);
  if (!bare.trouble.empty()) return bare.trouble;
  const PlainLoadResult eager = benchmark.run_bare(load, BareServer::Reads::all);
  if (!eager.trouble.empty()) return eager.trouble;
  const std::uint64_t bytes = benchmark.frame_bytes(load);
  const auto batch =
      static_cast<double>(bytes) / static_cast<double>(std::max<std::uint64_t>(1, result.acknowledgements));
  const auto large = file.append(bytes, kBatchBytesMax);
  const auto mean = file.append(bytes, static_cast<std::uint64_t>(batch));
  if (!large || !mean) return trouble_with(benchmark.target().directory);

  const double rate = messages / seconds(result.lasted);
  const double bare_rate = messages / seconds(bare.lasted);
  const double eager_rate = messages / seconds(eager.lasted);
  const double large_rate = messages / seconds(*large);
  const double mean_rate = messages / seconds(*mean);
  add_rate(section, "", "cproto", rate, size);
  if (delivered) add_rate(section, "delivered_", "cproto, until in the inbox", messages / seconds(*delivered), size);
  section.add("batch_bytes", "mean batch, bytes", 0, batch);
  section.add("client_cpu_seconds", "client CPU, s", 3, result.client_cpu);
  if (daemon != nullptr) {
    section.add("daemon_cpu_seconds", "daemon CPU until all is durable, s", 3, result.server_cpu);
    section.add("daemon_cpu_seconds_delivered", "daemon CPU until all is delivered, s", 3, cpu_delivered);
  }
  add_rate(section, "bare_", "bare server", bare_rate, size);
  add_rate(section, "bare_eager_", "bare server that reads on", eager_rate, size);
  add_rate(section, "append_large_", "append + fdatasync of 4 MiB", large_rate, size);
  add_rate(section, "append_mean_", "append + fdatasync of the mean batch", mean_rate, size);
  section.add("ratio_to_bare", "cproto : bare server", 2, rate / bare_rate);
  section.add("ratio_to_bare_eager", "cproto : bare server that reads on", 2, rate / eager_rate);
  section.add("ratio_to_append_large", "cproto : append of 4 MiB", 2, rate / large_rate);
  section.add("ratio_to_append_mean", "cproto : append of the mean batch", 2, rate / mean_rate);
  return {};
}

Trouble measure(Benchmark& benchmark, const std::string& name, const LoadOptions& load) {
  // The first run makes segments, sessions and buffers; it is not counted.
  if (const LoadResult warm_up = benchmark.run(load); !warm_up.trouble.empty()) return warm_up.trouble;
  for (const auto reads : {BareServer::Reads::once, BareServer::Reads::all})
    if (const auto warm_up = benchmark.run_bare(load, reads); !warm_up.trouble.empty()) return warm_up.trouble;
  const std::uint64_t bytes = benchmark.frame_bytes(load);
  const auto file = AppendFile::make(benchmark.target().directory, std::min(bytes + kBatchBytesMax, kAppendFileMax));
  if (file == nullptr) return trouble_with(benchmark.target().directory);
  Section& section = benchmark.add_section(
      name, name + ", " + (load.mode == OperationMode::burst ? "burst" : "step-by-step") + ", " +
                std::to_string(load.count) + " messages of " + std::to_string(load.payload.size()) + " bytes a run");
  for (std::size_t i = 0; i < benchmark.options().runs; ++i)
    if (Trouble trouble = measure_once(benchmark, load, *file, section); !trouble.empty()) return trouble;
  return {};
}

}  // namespace

Trouble measure_throughput(Benchmark& benchmark) {
  return measure(benchmark, "throughput", benchmark.load_options(benchmark.options().mode, benchmark.count(kCount)));
}

Trouble measure_large(Benchmark& benchmark) {
  const Bytes payload = make_payload(kLargeSize);
  LoadOptions load = benchmark.load_options(OperationMode::burst, benchmark.count(kLargeCount));
  load.payload = payload;
  return measure(benchmark, "large", load);
}

}  // namespace cproto::bench
