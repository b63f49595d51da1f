// Reads a store and changes nothing (cprotod --verify): the chain of its journal, every checksum in it, every session.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/disk.h"
#include "daemon/recovery.h"
#include "daemon/store_format.h"

namespace cproto {

struct Verification {
  std::optional<StoreProblem> problem;  // it could not be read at all
  StoreId store{};
  std::uint64_t batches = 0;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::uint64_t sessions = 0;
  std::uint64_t torn_batches = 0;   // written and never acknowledged: no damage
  std::vector<std::string> damage;  // a sentence each

  bool is_whole() const { return !problem && damage.empty(); }
};

// Pre: no daemon uses the store meanwhile.
Verification verify_store(Disk& disk, const std::string& directory);

}  // namespace cproto
