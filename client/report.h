// What is said at the end: why it ended, the summary, the JSON object, and what --check found.
#pragma once

#include <optional>
#include <string>

#include "client/congestion.h"
#include "client/options.h"
#include "client/status.h"
#include "client/tally.h"
#include "client/wording.h"
#include "proto/handshake.h"
#include "proto/time.h"

namespace cproto::client {

// A run, when it is over.
struct Outcome {
  Causes causes;
  int signal = 0;         // the one that interrupted it
  std::string sentence;   // why it ended before its time
  std::string where;      // the server last connected to: "logs:7780 (192.0.2.7)"
  Congestion congestion;  // of the connection that was last there
  std::uint64_t retransmitted = 0;
  std::uint64_t reconnects = 0;
  Duration lasted{0};
  Duration round_trip{0};  // SYN to SYN-ACK
  std::optional<SynAck> terms;
  OperationMode mode_asked = OperationMode::burst;
};

// "81,004 of 100,000 lines are": how much is durable, of what was to be sent or was read.
std::string durable_clause(const Tally& tally, std::optional<std::uint64_t> total, const Noun& noun);

// "81,004 lines (8.1 MiB) durable on logs:7780 in 1.2 s (6.7 MiB/s), 0 frames sent again, 0 reconnects, cubic".
std::string summary(const Outcome& outcome, const Tally& tally, const Noun& noun);
// "2 of 5 lines were refused".
std::string refused_clause(const Tally& tally, const Noun& noun);
std::string json_report(const Outcome& outcome, const Tally& tally, const Options& options);
// Lines for standard output. Pre: outcome.terms.
std::string check_report(const Outcome& outcome);

}  // namespace cproto::client
