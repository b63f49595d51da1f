// The limit of a file: what is read here, goes over loopback TCP, is written and synced there, and is checked on both
// sides as cproto does it: CRC-32 of each frame, SHA-256 of each piece. One thread a side, and nothing else.
#pragma once

#include <optional>
#include <string>

#include "proto/time.h"

namespace cproto::bench {

// How long it was until the copy was synced and its digest agreed; nullopt if something failed.
std::optional<Duration> bare_copy(const std::string& source, const std::string& target, bool with_digest);

}  // namespace cproto::bench
