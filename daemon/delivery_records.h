// What the journal's records say of delivery (STORE.md §4.5 to §4.7), gathered in their order: the last checkpoint, the
// logs opened since, and the pieces carried forward.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "daemon/batch.h"
#include "daemon/records.h"
#include "proto/bytes.h"

namespace cproto {

struct DeliveryRecords {
  struct Pieces {
    std::uint64_t batch = 0;
    Bytes body;  // a PiecesRecord, encoded
  };
  CheckpointRecord checkpoint;
  std::vector<LogRecord> logs;                       // opened behind the checkpoint
  std::unordered_map<std::uint64_t, Pieces> pieces;  // by session

  // Takes what concerns delivery from the next record.
  void note(const Record& record, std::uint64_t batch);
};

}  // namespace cproto
