// What is wrong between keys each of which is right by itself.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/schema.h"

namespace cproto::config {

struct Conflict {
  const Key* key;        // the one to complain about
  const Key* other;      // the one it does not go with
  std::string shown;     // the value of `key`, or the one in its list that is meant
  std::string what;      // for people
  std::size_t item = 0;  // where in the list
};

// The daemon cannot run with these.
[[nodiscard]] std::vector<Conflict> conflicts(const Config& config);

// It can run with these, but hardly as was meant.
[[nodiscard]] std::vector<Conflict> doubts(const Config& config);

}  // namespace cproto::config
