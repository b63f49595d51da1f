// A small generator with one seed, the same under every compiler: splitmix64 (Steele, Lea, Flood 2014). For jitter and
// for simulation; ids come from the host's source of entropy.
#pragma once

#include <cstdint>

namespace cproto {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // A number below `bound`. Pre: bound > 0. The bias of the remainder is below bound / 2^64.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  // From `low` to `high`, both included.
  std::uint64_t between(std::uint64_t low, std::uint64_t high) { return low + below(high - low + 1); }
  // True in `percent` of a hundred cases; fractions count.
  bool chance(double percent) { return static_cast<double>(next() >> 11) * 0x1p-53 * 100.0 < percent; }

 private:
  std::uint64_t state_;
};

}  // namespace cproto
