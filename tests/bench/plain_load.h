// One run with a plain protocol: the same as a load of cproto (load.h), by the same rules, for the bare server and for
// the systems that are measured beside. A message counts when the server's own acknowledgement of it came.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "proto/bytes.h"
#include "proto/time.h"
#include "tests/bench/peers/protocol.h"

namespace cproto::bench {

struct PlainLoadOptions {
  MakeProtocol protocol = nullptr;
  sockaddr_storage server{};
  pid_t server_pid = 0;     // whose CPU is counted; 0: not known
  std::uint64_t count = 0;  // of all connections together
  ByteView payload;         // of each message
  std::size_t window = 1;   // messages in flight on each connection
  std::size_t connections = 1;
  // How long the client waits between two rounds, so that answers gather: a server that answers one by one has the
  // machine for itself meanwhile. Not for one message in flight.
  Duration pause{0};
  // When to stop although not all is acknowledged.
  Duration time_max = kNever.time_since_epoch();
  // With nothing to send: how long the connections are left alone.
  Duration hold{0};
};

struct PlainLoadResult {
  std::string trouble;             // empty if there was none
  std::uint64_t acknowledged = 0;  // fewer than `count` if the time was over
  Duration lasted{0};              // from the first message to the last acknowledgement
  double client_cpu = 0;           // seconds
  double server_cpu = 0;
  std::vector<Duration> round_trips;  // of each message
  std::int64_t idle_bytes = 0;        // resident memory that the connections took; with `hold`
  double idle_cpu = 0;                // the server's seconds during it
};

PlainLoadResult run_plain_load(const PlainLoadOptions& options);

}  // namespace cproto::bench
