// W6: what a connection with nothing to say costs, with a session of its own: memory, and CPU at rest. A daemon of its
// own for each run, so that nothing is counted twice and nothing is already there.
#include <algorithm>
#include <thread>

#include "tests/bench/clock.h"
#include "tests/bench/place.h"
#include "tests/bench/works.h"

namespace cproto::bench {

namespace {

constexpr std::uint64_t kConnections = 10'000;
constexpr std::uint64_t kOtherDescriptors = 1'000;
constexpr std::uint64_t kHoldSeconds = 20;  // a keep-alive of each
constexpr std::uint64_t kHoldSecondsMin = 2;

// Connections that have sent `messages` each, or none.
Trouble measure_once(Benchmark& benchmark, std::uint64_t connections, std::uint64_t messages, const std::string& key,
                     const std::string& label, Section& section) {
  const auto directory = TemporaryDirectory::make(benchmark.target().directory);
  if (directory == nullptr) return trouble_with(benchmark.target().directory);
  std::string trouble;
  const auto daemon = DaemonProcess::start(directory->path(), {}, trouble);
  if (daemon == nullptr) return trouble;
  daemon->wait_until_quiet();
  const Duration hold = std::chrono::seconds(std::max(benchmark.scaled(kHoldSeconds), kHoldSecondsMin));
  const double cpu = cpu_seconds(daemon->pid());
  std::this_thread::sleep_for(hold);
  const double resting = cpu_seconds(daemon->pid()) - cpu;

  LoadOptions load = benchmark.load_options(OperationMode::burst, messages * connections);
  const auto server = resolve(daemon->address());
  if (!server) return daemon->address();
  load.server = *server;
  load.server_pid = daemon->pid();
  load.connections = connections;
  load.hold = hold;
  const LoadResult result = run_load(load);
  if (!result.trouble.empty()) return result.trouble;
  section.add(key + "bytes_per_connection", label + ", bytes a connection", 0,
              static_cast<double>(result.idle_bytes) / static_cast<double>(connections));
  section.add(key + "cpu_percent", label + ", CPU of one core, %", 3, result.idle_cpu / seconds(hold) * 100);
  section.add("rest_cpu_percent", "no connection, CPU of one core, %", 3, resting / seconds(hold) * 100);
  return {};
}

}  // namespace

Trouble measure_idle(Benchmark& benchmark) {
  // The daemon needs one for each connection, and for a while one for each log.
  const std::uint64_t descriptors = descriptor_limit();
  const std::uint64_t connections =
      std::min(benchmark.scaled(kConnections), (descriptors - std::min(descriptors / 2, kOtherDescriptors)) / 2);
  Section& section = benchmark.add_section("idle", std::to_string(connections) + " idle connections");
  for (std::size_t i = 0; i < benchmark.options().runs; ++i) {
    if (Trouble trouble = measure_once(benchmark, connections, 1, "", "each has sent a message", section);
        !trouble.empty())
      return trouble;
    if (Trouble trouble = measure_once(benchmark, connections, 0, "handshake_", "behind the handshake", section);
        !trouble.empty())
      return trouble;
  }
  return {};
}

}  // namespace cproto::bench
