// What is counted since the start, for metrics (metrics.h) and cprotoctl.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>

#include "daemon/refusals.h"
#include "daemon/repeats.h"
#include "proto/error.h"

namespace cproto {

// Connections and what came over them.
struct PeerCounters {
  std::uint64_t connections = 0;
  std::uint64_t sessions = 0;  // handshakes completed
  std::uint64_t messages = 0;
  std::uint64_t payload_bytes = 0;
  std::uint64_t acknowledgements = 0;
  std::uint64_t duplicates = 0;      // frames that had been received before
  std::uint64_t damaged_frames = 0;  // each is asked for again
  std::uint64_t refusals = 0;        // messages
  std::uint64_t handshake_failures = 0;
  std::uint64_t tls_handshakes = 0;            // completed
  std::uint64_t tls_failures = 0;              // before the handshake was complete
  std::uint64_t silent_probes = 0;             // connections that closed before their first byte
  std::uint64_t accept_failures = 0;           // connections that had to wait for a descriptor
  std::map<ErrorCode, std::uint64_t> refused;  // connections, handshakes and messages, by the code they were told
  Refusals last_refused;
  // How much is said of those who never become clients: somebody may try for hours.
  Repeats stranger_lines{kLinesAMinute};
  Repeats refused_lines{kLinesAMinute};

  static constexpr unsigned kLinesAMinute = 100;
};

// Observations by size, as Prometheus has them.
template <std::size_t N>
class Histogram {
 public:
  constexpr explicit Histogram(const std::array<double, N>& bounds) : bounds_(bounds) {}

  void observe(double value) {
    ++count_;
    sum_ += value;
    for (std::size_t i = 0; i < N; ++i)
      if (value <= bounds_[i]) return static_cast<void>(++counts_[i]);
  }
  const std::array<double, N>& bounds() const { return bounds_; }
  // Observations in the bucket, not those below it.
  std::uint64_t in(std::size_t bucket) const { return counts_[bucket]; }
  std::uint64_t count() const { return count_; }
  double sum() const { return sum_; }

 private:
  std::array<double, N> bounds_;
  std::array<std::uint64_t, N> counts_{};
  std::uint64_t count_ = 0;
  double sum_ = 0;
};

inline constexpr std::array kSyncSeconds = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                            0.05,   0.1,     0.25,   0.5,   1.0,    5.0,   30.0};
inline constexpr std::array kBatchBytes = {4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0};

// The journal's work.
struct StoreCounters {
  Histogram<kSyncSeconds.size()> sync_seconds{kSyncSeconds};
  Histogram<kBatchBytes.size()> batch_bytes{kBatchBytes};
  std::uint64_t failures = 0;                  // writes and syncs
  std::uint64_t holds = 0;                     // times that nobody was read, for want of memory or of journal
  std::uint64_t sessions_let_go = 0;           // no client came back for them
  std::map<ErrorCode, std::uint64_t> refused;  // messages, while their client was away
};

}  // namespace cproto
