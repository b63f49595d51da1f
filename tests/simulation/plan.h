// What a seed decides before anything happens: how large, how fast, how bad.
#pragma once

#include <cstdint>
#include <optional>

#include "proto/options.h"
#include "proto/random.h"
#include "proto/time.h"

namespace cproto::sim {

struct LinkPlan {
  Transport transport = Transport::stream;
  Duration delay_min = 1ms;
  Duration delay_max = 10ms;
  double loss = 0;  // per cent of frames
  double duplication = 0;
  double corruption = 0;        // of frames, or of writes on a stream
  double long_delay = 0;        // of them, by seconds
  Duration life_max = 0s;       // a stream is cut within it; 0: never
  double one_way = 0;           // per cent of connections of which one way goes dead for a while
  std::size_t slow_reader = 0;  // bytes that either side reads at a time, with a rest behind; 0: all there is
};

struct DiskPlan {
  Duration latency_max = 5ms;
  double stall = 0;          // per cent of jobs that take up to 3 s
  double sync_failure = 0;   // per cent of journal syncs
  double inbox_failure = 0;  // per cent of syncs in the inbox
  double lasting = 0;        // per cent of failures behind which every sync fails for a while, or until the end
  double write_failure = 0;  // per cent of writes
  double no_space = 0;       // per cent of writes of any kind
  double denied = 0;         // per cent of operations that go by a name
  bool fills_up = false;     // now and then there is no space for a while
  double misread = 0;        // per cent of reads that come back with a bit flipped
};

// Of a stream that is the engine.
struct StreamPlan {
  Duration latency_max = 5ms;
  std::size_t payload_max = 64 * 1024;
  std::size_t pack_size = 64 * 1024;
  double away = 0;   // per cent of times that it cannot be opened, or is cut soon
  double full = 0;   // per cent of publications that are refused
  double late = 0;   // per cent of ways that take up to 12 s
  double lost = 0;   // per cent of publications, and of answers
  double stale = 0;  // per cent of questions that a server answers which is behind
};

struct ClientPlan {
  LinkPlan link;
  OperationMode mode = OperationMode::burst;
  std::uint32_t max_packet_size = 4096;
  std::uint32_t window_size = 1000;
  std::size_t sessions = 1;
  std::size_t messages = 30;  // of one session
  double large = 1;           // per cent of messages beyond 64 KiB
  Duration pause_max = 0s;    // between two messages
  Duration life_max = 0s;     // the process is killed within it; 0: never
  bool renames_logs = false;
  bool jumps_clock = false;
};

struct Plan {
  std::uint64_t seed = 0;
  std::size_t clients = 1;
  std::uint64_t segment_size = 256 * 1024;
  std::uint64_t window_bytes = 256 * 1024;
  std::uint64_t message_size_max = 0;
  Duration keep_alive = 5s;
  Duration heals_at = 20s;        // from then on nothing fails any more
  Duration server_life_max = 0s;  // 0: it is never killed
  double power_cut = 50;          // per cent of its deaths
  double second_cut = 0;          // per cent of kills that a power cut follows soon
  double stop = 0;                // per cent of its lives in which it is stopped for up to minutes
  bool changes_settings = false;  // its largest packet differs from life to life
  DiskPlan disk;
  std::optional<StreamPlan> stream = {};  // instead of the disk
};

Plan draw_plan(std::uint64_t seed);
ClientPlan draw_client_plan(const Plan& plan, Random& random);

}  // namespace cproto::sim
