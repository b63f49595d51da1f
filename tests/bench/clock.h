// Time and CPU time as the bench reads them.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <ctime>

#include "proto/time.h"

namespace cproto::bench {

inline Instant now() { return Instant(std::chrono::steady_clock::now().time_since_epoch()); }

inline double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }
inline double micros(Duration duration) { return std::chrono::duration<double, std::micro>(duration).count(); }

// Seconds of CPU that all threads of a process have used, to the nanosecond; 0 if there is no such process.
inline double cpu_seconds(pid_t pid) {
  clockid_t clock{};
  timespec time{};
  if (pid <= 0 || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

}  // namespace cproto::bench
