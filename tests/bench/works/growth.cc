// W8: how throughput and the 99th percentile of an acknowledgement grow with the window, with the size of a message and
// with the number of connections: for plots. The bare server beside.
#include <algorithm>

#include "tests/bench/clock.h"
#include "tests/bench/inbox.h"
#include "tests/bench/payload.h"
#include "tests/bench/works.h"

namespace cproto::bench {

namespace {

constexpr std::uint32_t kWindows[] = {1, 4, 16, 64, 256, 1024, 4096, 16'384, 32'767};
constexpr std::size_t kSizes[] = {16, 64, 256, 1024, 4096, 16'384, 65'536, 262'144, 1'048'576};
constexpr std::size_t kConnections[] = {1, 10, 100, 1000, 10'000};
// Of many connections, so that the client needs no more memory than one connection with the largest window.
constexpr std::uint32_t kWindowOfMany = 64;

// A run is so long at most, about a second or two on any machine: a message costs a part of a batch, and its bytes.
constexpr std::uint64_t kBatches = 3'000;
constexpr std::uint64_t kMessagesMax = 1'000'000;
constexpr std::uint64_t kBytesMax = 512u << 20;

std::uint64_t count_of(std::uint64_t in_flight, std::size_t size) {
  return std::min({kBatches * in_flight, kMessagesMax, kBytesMax / size});
}

Trouble measure_once(Benchmark& benchmark, const LoadOptions& load, const std::string& at, Section& section) {
  benchmark.wait_until_quiet();
  // Else the works before would fill the disk; of many connections each has written little.
  if (const DaemonProcess* daemon = benchmark.target().daemon; daemon != nullptr && load.connections == 1)
    clear_inbox(daemon->inbox());
  LoadResult result = benchmark.run_at_once(load);
  if (!result.trouble.empty()) return result.trouble;
  PlainLoadResult bare = benchmark.run_bare(load);
  if (!bare.trouble.empty()) return bare.trouble;
  const auto messages = static_cast<double>(load.count);
  const double rate = messages / seconds(result.lasted);
  const Percentiles times = percentiles_of(result.round_trips);
  section.add(at + ".messages_per_second", at + ", messages/s", 0, rate);
  section.add(at + ".megabytes_per_second", at + ", MB/s", 1, rate * static_cast<double>(load.payload.size()) / kMega);
  section.add(at + ".p50_us", at + ", p50, us", 1, times.p50);
  section.add(at + ".p99_us", at + ", p99, us", 1, times.p99);
  section.add(at + ".bare_messages_per_second", at + ", bare server, messages/s", 0, messages / seconds(bare.lasted));
  section.add(at + ".bare_p99_us", at + ", bare server, p99, us", 1, percentiles_of(bare.round_trips).p99);
  return {};
}

// One point for each value: `change` puts it into the load, and `in_flight` says how much that allows.
template <class Values, class Change>
Trouble grow(Benchmark& benchmark, const std::string& name, const Values& values, Change change) {
  Section& section = benchmark.add_section("growth-" + name, "growth with " + name);
  for (std::size_t i = 0; i < benchmark.options().runs; ++i) {
    for (const auto value : values) {
      Bytes payload;  // lives as long as the run, if the value is a size
      LoadOptions load = benchmark.load_options(OperationMode::burst, 1);
      load.is_timed = true;
      change(load, value, payload);
      const std::uint64_t in_flight = load.window * load.connections;
      load.count = std::max<std::uint64_t>(benchmark.count(count_of(in_flight, load.payload.size())), load.connections);
      if (Trouble trouble = measure_once(benchmark, load, std::to_string(value), section); !trouble.empty())
        return trouble;
    }
  }
  return {};
}

}  // namespace

Trouble measure_growth(Benchmark& benchmark) {
  Trouble trouble = grow(benchmark, "window", kWindows,
                         [](LoadOptions& load, std::uint32_t window, Bytes&) { load.window = window; });
  if (!trouble.empty()) return trouble;
  trouble = grow(benchmark, "size", kSizes, [](LoadOptions& load, std::size_t size, Bytes& payload) {
    payload = make_payload(size);
    load.payload = payload;
  });
  if (!trouble.empty()) return trouble;
  return grow(benchmark, "connections", kConnections, [](LoadOptions& load, std::size_t connections, Bytes&) {
    load.connections = connections;
    load.window = kWindowOfMany;
  });
}

}  // namespace cproto::bench
