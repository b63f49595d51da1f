// cproto-peer-load: drives a system that is measured beside cproto, and prints one line of JSON with what came of it.
#include <signal.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>

#include <cstdio>
#include <map>

#include "tests/bench/clock.h"
#include "tests/bench/figures.h"
#include "tests/bench/payload.h"
#include "tests/bench/place.h"
#include "tests/bench/plain_load.h"

namespace {

using namespace cproto;
using namespace cproto::bench;

constexpr int kFailed = 1;
constexpr int kUsage = 64;  // EX_USAGE, as with the other programs

struct Arguments {
  PlainLoadOptions load;
  std::string server;
  std::size_t size = 100;
  double pause_ms = 0;
  double time_max = 0;
  double hold = 0;
};

Duration of_seconds(double value) { return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(value)); }

int parse(int argc, char** argv, Arguments& arguments) {
  CLI::App app{"Sends messages to a server of another kind, and times its acknowledgements.", "cproto-peer-load"};
  const std::map<std::string, MakeProtocol> protocols{{"bare", make_bare},   {"redis", make_redis},
                                                      {"mqtt1", make_mqtt1}, {"mqtt2", make_mqtt2},
                                                      {"relp", make_relp},   {"nats", make_nats}};
  PlainLoadOptions& load = arguments.load;
  std::string protocol;
  app.add_option("PROTOCOL", protocol, "bare, redis, mqtt1, mqtt2, relp or nats")
      ->required()
      ->check(CLI::IsMember(protocols));
  app.add_option("HOST:PORT", arguments.server, "Of the server")->required();
  app.add_option("--count", load.count, "Messages of all connections together (default: none)");
  app.add_option("--size", arguments.size, "Bytes of a message (default: 100)");
  app.add_option("--window", load.window, "In flight on each connection (default: 1)")->check(CLI::Range(1, 65'535));
  app.add_option("--connections", load.connections, "(default: 1)")->check(CLI::Range(1, 100'000));
  app.add_option("--pause", arguments.pause_ms, "Milliseconds to wait so that answers gather (default: 0)");
  app.add_option("--time-max", arguments.time_max, "Seconds behind which to stop (default: for ever)");
  app.add_option("--hold", arguments.hold, "Send nothing, and stay connected so many seconds");
  app.add_option("--pid", load.server_pid, "Of the server: what it uses is said, too");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  load.protocol = protocols.at(protocol);
  load.pause = of_seconds(arguments.pause_ms / 1e3);
  if (arguments.time_max > 0) load.time_max = of_seconds(arguments.time_max);
  load.hold = of_seconds(arguments.hold);
  return -1;
}

void print(const Arguments& arguments, PlainLoadResult& result) {
  const Percentiles times = percentiles_of(result.round_trips);
  const auto messages = static_cast<double>(result.acknowledged);
  const double lasted = seconds(result.lasted);
  const double rate = lasted > 0 ? messages / lasted : 0;
  std::printf(
      "{\"acknowledged\": %.0f, \"seconds\": %.6f, \"messages_per_second\": %.1f, \"megabytes_per_second\": %.2f, "
      "\"p50_us\": %.1f, \"p99_us\": %.1f, \"client_cpu_seconds\": %.4f, \"server_cpu_seconds\": %.4f, "
      "\"idle_bytes_per_connection\": %.1f, \"idle_cpu_seconds\": %.6f}\n",
      messages, lasted, rate, rate * static_cast<double>(arguments.size) / 1e6, times.p50, times.p99, result.client_cpu,
      result.server_cpu, static_cast<double>(result.idle_bytes) / static_cast<double>(arguments.load.connections),
      result.idle_cpu);
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (const int status = parse(argc, argv, arguments); status >= 0) return status;
  raise_descriptor_limit();
  const auto server = resolve(arguments.server);
  if (!server) {
    std::fprintf(stderr, "cproto-peer-load: %s is not the address of a server\n", arguments.server.c_str());
    return kUsage;
  }
  const Bytes payload = make_payload(arguments.size);
  arguments.load.server = *server;
  arguments.load.payload = payload;
  PlainLoadResult result = run_plain_load(arguments.load);
  if (!result.trouble.empty()) {
    std::fprintf(stderr, "cproto-peer-load: %s\n", result.trouble.c_str());
    return kFailed;
  }
  print(arguments, result);
  return 0;
}
