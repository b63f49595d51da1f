// What goes wrong with the server's disk while it runs, as the plan says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "daemon/disk.h"
#include "proto/random.h"
#include "proto/time.h"
#include "tests/simulation/faults.h"
#include "tests/simulation/plan.h"

namespace cproto::sim {

class DiskFaults {
 public:
  DiskFaults(const DiskPlan& plan, std::uint64_t seed, Coverage& coverage)
      : plan_(plan), random_(seed), coverage_(coverage) {}

  // From here on nothing goes wrong.
  void heal() { is_healed_ = true; }
  Duration draw_latency();
  // An errno; 0: the operation works.
  int draw_error(Instant now, const FileOp& op, const std::string& path);
  // As MemoryDisk::misread.
  std::optional<std::uint64_t> draw_misread(std::uint64_t bits);

 private:
  int draw_sync_error(Instant now, bool is_journal);
  int draw_denial(FileOp::Kind kind);
  int fail(Fault fault, int error) {
    coverage_.add(fault);
    return error;
  }

  DiskPlan plan_;
  Random random_;
  Coverage& coverage_;
  Instant full_until_{};
  Instant bad_until_{};
  bool is_healed_ = false;
};

}  // namespace cproto::sim
