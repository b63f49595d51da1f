// One line a frame, for people: `--trace`, logs at debug, and the last words of a failing simulation.
#pragma once

#include <string>

#include "proto/frame.h"

namespace cproto {

// For example "DATA 17, 100 B" or "ACK durable 17, received 20, limit 32784".
std::string describe(const Frame& frame);

}  // namespace cproto
