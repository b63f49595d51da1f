#include "tests/bench/memory.h"

#include <fstream>
#include <string>

namespace cproto::bench {

// smaps_rollup walks the pages; the counters of `status` may be behind by some dozens of them a thread.
std::uint64_t resident_bytes(pid_t pid) {
  std::ifstream pages("/proc/" + std::to_string(pid) + "/smaps_rollup");
  for (std::string word; pages >> word;) {
    std::uint64_t kibibytes = 0;
    if (word == "Rss:" && pages >> kibibytes) return kibibytes * 1024;
  }
  return 0;
}

}  // namespace cproto::bench
