// The memory of a process, as the kernel counts it.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace cproto::bench {

// Resident bytes, exact to the page; 0 if there is no such process. What the kernel keeps for its sockets is outside.
std::uint64_t resident_bytes(pid_t pid);

}  // namespace cproto::bench
