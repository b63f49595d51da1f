// What cprotoctl shows of a running daemon. Reads; changes nothing.
#pragma once

#include <optional>
#include <string>

#include "daemon/counters.h"
#include "daemon/store.h"
#include "proto/time.h"

namespace cproto {

// A moment of the daemon. Lives for the length of a call.
struct DaemonView {
  Instant now;
  Instant started;
  const Store& store;
  const PeerCounters& counters;
  std::size_t connections = 0;
  std::string listening;  // "127.0.0.1:7780, [::1]:7780"
  std::string trouble;    // Health's; empty while all is well
  bool is_draining = false;
  std::size_t handshakes = 0;                         // connections with one not yet complete
  std::optional<std::int64_t> certificate_left = {};  // seconds until it expires
};

enum class Form : std::uint8_t { text, json };

std::string status_report(const DaemonView& view, Form form);

struct SessionFilter {
  std::string client;  // empty: all
  bool unfinished_only = false;
};
std::string sessions_report(const DaemonView& view, const SessionFilter& filter, Form form);

// One sentence: what the client is waiting for, and for how long.
std::string why_report(const DaemonView& view, const std::string& client, Form form);

}  // namespace cproto
