// One run: opens connections, sends messages over them, and says how long it was until all of them were durable.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "proto/bytes.h"
#include "proto/handshake.h"
#include "proto/options.h"
#include "proto/time.h"

namespace cproto::bench {

struct LoadOptions {
  sockaddr_storage server{};
  pid_t server_pid = 0;  // whose CPU is counted; 0: not known
  OperationMode mode = OperationMode::burst;
  std::uint64_t count = 0;  // of all connections together
  ByteView payload;         // of each message
  std::uint32_t window = 0;
  std::uint32_t packet = 0;
  std::size_t connections = 1;
  bool is_timed = false;  // each message, in burst, too; step-by-step it always is
  // Behind the last ACK: how long the connections are left alone.
  Duration hold{0};
};

// Of the time between the first message handed to a session and the ACK that made the last one durable: handshakes and
// closes are outside.
struct LoadResult {
  std::string trouble;  // empty: all messages are durable
  Instant begin{};
  Duration lasted{0};
  double client_cpu = 0;  // seconds
  double server_cpu = 0;
  // ACKs of the connection that heard most: at least so many batches there were, and with one connection exactly so
  // many.
  std::uint64_t acknowledgements = 0;
  std::vector<Duration> round_trips;  // from a message's handing over to the ACK that covers it
  std::int64_t idle_bytes = 0;        // resident memory of the server that the connections took; with `hold`
  double idle_cpu = 0;                // the server's seconds during it
  SynAck terms;                       // of the last connection
};

LoadResult run_load(const LoadOptions& options);

}  // namespace cproto::bench
