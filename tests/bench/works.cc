#include "tests/bench/works.h"

#include <algorithm>

namespace cproto::bench {

namespace {

constexpr Work kWorks[] = {
    {"throughput", "W1", "messages in burst, until all are durable, and until all are in the inbox",
     measure_throughput},
    {"latency", "W2", "one message in flight", measure_latency},
    {"large", "W3", "messages of 4 KiB in burst", measure_large},
    {"file", "W4", "one file, by cproto-send", measure_file},
    {"many", "W5", "100 and 1,000 connections, 1 and 64 messages in flight on each", measure_many},
    {"idle", "W6", "memory of an idle connection, and CPU at rest", measure_idle},
    {"recovery", "W7", "how fast a journal is read after kill -9", measure_recovery},
    {"growth", "W8", "throughput and p99 by window, size of message and number of connections", measure_growth},
    {"client", "", "cproto-send --lines, beside the load of this program", measure_lines},
    {"stream", "", "messages into a stream of NATS, beside a bare publisher", measure_stream},
    {"tls", "", "lines and a file by cproto-send, with and without TLS", measure_tls},
    {"fairness", "", "one message in flight beside a large file", measure_fairness},
    {"limits", "", "what the machine does alone: checksum, disk, loopback", measure_limits},
};

}  // namespace

std::span<const Work> all_works() { return kWorks; }

const Work* find_work(std::string_view name) {
  const auto* found = std::find_if(std::begin(kWorks), std::end(kWorks), [&](const Work& work) {
    return !name.empty() && (work.name == name || work.short_name == name);
  });
  return found != std::end(kWorks) ? found : nullptr;
}

}  // namespace cproto::bench
