// Reading a journal after whatever happened (STORE.md §5): finds the chain of batches, tells a torn tail from damage,
// and opens the journal behind it. Believes nothing it has merely read: the last batch found is written again and
// synced before anybody is told that it is durable.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "daemon/batch.h"
#include "daemon/disk.h"
#include "daemon/journal.h"

namespace cproto {

// A batch of the chain as it is read.
struct ChainBatch {
  BatchHeader header;
  std::uint32_t segment = 0;
  std::uint32_t offset = 0;
};

struct Chain {
  std::vector<ChainBatch> batches;                 // oldest first
  std::vector<std::unique_ptr<Segment>> segments;  // all files found, opened
  std::uint64_t highest_number = 0;                // ever seen, in whatever state
  std::uint32_t highest_segment = 0;
  std::vector<std::string> damage;  // what could not be read although it had been synced: for the log
  std::uint64_t torn_batches = 0;   // written and never synced: nobody was told of them
  std::set<std::uint32_t> held;     // segments not to be used again before the last batch is durable
  bool ends_with_copy = false;      // of an older batch; the start that wrote it may have died before it was synced
};

// What stands in the way of opening a store at all.
struct StoreProblem {
  int error = 0;          // errno, or 0
  bool is_newer = false;  // written by a newer version: nothing was touched
  std::string sentence;
};

// Whether a file of the journal's directory is a segment.
bool is_segment_name(const std::string& name);

// Finds the chain in `options.directory`. An empty or missing directory is an empty chain.
// `on_progress` is told before each file is read.
std::variant<Chain, StoreProblem> find_chain(Disk& disk, const JournalOptions& options,
                                             const std::function<void(const std::string&)>& on_progress = {});

// Reads one batch of the chain; what is damaged, too. Intact: as far as `check` goes.
BatchRead read_batch(Disk& disk, Chain& chain, const ChainBatch& batch, Bytes& bytes, Check check = Check::everything);

// Begins a fresh segment, writes the last batch of the chain again there and syncs it (STORE §5.4).
std::variant<JournalPosition, StoreProblem> reopen(Disk& disk, const JournalOptions& options, Chain chain);

// The frames of a damaged run that are intact, each as (number, frame): neighbours of what was hit are kept. None where
// all are intact: then they are not the run's own.
void salvage_frames(const Record& record, const std::function<void(Seq, ByteView)>& each);

}  // namespace cproto
