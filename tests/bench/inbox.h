// The inbox of a daemon of our own: how much of what was sent is there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "proto/time.h"

namespace cproto::bench {

// Removes the logs in it, as its owner may at any time.
void clear_inbox(const std::string& inbox);

// Waits until so many bytes are in its logs, and says how long that was after `begin`; nullopt behind a minute.
std::optional<Duration> await_inbox(const std::string& inbox, std::uint64_t bytes, Instant begin);

}  // namespace cproto::bench
