// What a run has come to so far, in the source's own terms.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/source.h"

namespace cproto::client {

// So many are named; beyond that they are counted.
inline constexpr std::uint64_t kNamedMax = 100;

struct Tally {
  struct Refused {
    std::string name;    // "line 81,004"
    std::string reason;  // "larger than 64 MiB"
  };

  std::uint64_t read = 0;           // messages handed to the session or refused
  std::uint64_t durable = 0;        // taken and on the server's disk
  std::uint64_t durable_bytes = 0;  // payload that became durable in this run
  std::uint64_t refused = 0;
  std::uint64_t losses = 0;      // of a followed log: times that something was gone before it was read
  std::uint64_t lost_bytes = 0;  // as far as they are known
  std::vector<Refused> refused_named;
  // The file that is becoming durable; no name: none is.
  struct Current {
    std::string name;
    std::optional<std::uint64_t> size;
    std::uint64_t durable = 0;
  };
  Current current;
  std::vector<Problem> problems;  // inputs that could not be read
};

}  // namespace cproto::client
