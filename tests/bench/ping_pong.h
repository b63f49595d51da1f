// The network's limit: a frame there and back over loopback TCP, with nothing done at either end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "proto/time.h"

namespace cproto::bench {

struct PingPong {
  std::vector<Duration> round_trips;
  std::string trouble;  // empty if there was none
};

// `count` round trips of `frame_size` bytes to a thread that sends them back. TCP_NODELAY; where the threads run is
// left to the scheduler, as with the daemon. Pre: frame_size > 0.
PingPong ping_pong(std::size_t frame_size, std::uint64_t count);

}  // namespace cproto::bench
