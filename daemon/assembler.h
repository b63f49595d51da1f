// From the journal's records to whole messages (STORE.md §6): fragments are gathered, in memory or in part files, until
// the last has come.
//
// Happy path: take(batch) -> Inbox::put for each message that is whole. Large ones go to a part with the next job.
// Failure modes: a part that cannot be written is tried again after a while; a message that damage took a piece of is
// left out, and said.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/assembly.h"
#include "daemon/batch.h"
#include "daemon/delivery_records.h"
#include "daemon/disk.h"
#include "daemon/inbox.h"
#include "daemon/inbox_files.h"
#include "daemon/journal.h"
#include "daemon/log.h"
#include "daemon/session_registry.h"
#include "proto/frame.h"
#include "proto/time.h"

namespace cproto {

class Assembler {
 public:
  // `parts` is the directory of part files; more of one unfinished message than `memory_max` bytes goes there.
  Assembler(const std::string& parts, std::size_t memory_max, SessionRegistry& registry, Log& log, Inbox& inbox,
            InboxFiles& files)
      : parts_(parts), memory_max_(memory_max), registry_(registry), log_(log), inbox_(inbox), files_(files) {}

  // While more than this of all unfinished messages together is in memory, what grows goes to its part.
  void set_held_max(std::uint64_t bytes) { held_max_ = bytes; }
  std::uint64_t held_bytes() const { return held_bytes_; }

  // --- recovery ---
  void restore(std::uint64_t session, const PiecesRecord& pieces, std::uint64_t batch);
  // A record of a batch that delivery has passed: only what is unfinished in it counts.
  void replay(const Record& record, std::uint64_t batch);
  // Opens the parts that were restored. A problem is a sentence.
  std::string open_parts(Disk& disk);
  void add_wanted(std::set<std::string>& paths) const;

  // --- running ---
  // Returns whether there was anything in it that a checkpoint has to cover. `is_intact`: every byte is known to be as
  // it was written.
  bool take(const BatchPlace& place, ByteView bytes, bool is_intact);
  // What is to go to part files, as operations; on_spilled() once they were run, block_spills() if one failed.
  bool has_spills() const { return !spills_.empty(); }
  void add_spills(Instant now, Job& job);
  void on_spilled();
  void block_spills(Instant until) { spills_blocked_until_ = until; }
  // kNever: nothing is to be tried again.
  Instant next_deadline(Instant now) const;
  // The operations that close what is open, and who holds the files until then.
  void add_closes(Job& job, std::vector<std::shared_ptr<File>>& files);

  // --- checkpoints: begin -> on_synced -> on_durable, or the Assembler is given up ---
  void begin_checkpoint(CheckpointRecord& checkpoint, Job& job);
  void on_synced();
  // Adds what removes the parts that nothing refers to any more; they are returned and stay until the job is over.
  std::vector<std::shared_ptr<Part>> on_checkpoint_durable(const CheckpointRecord& checkpoint, Job& job);

  // Appends again what is in memory of messages begun before this batch; delivery has taken all up to `taken`. `later`:
  // there is no room now; `after_checkpoint`: the next checkpoint makes it unnecessary.
  enum class Carried : std::uint8_t { all, later, after_checkpoint };
  Carried carry_forward(std::uint64_t before_batch, std::uint64_t taken, Journal& journal);

 private:
  static constexpr std::uint64_t kNoBatch = ~std::uint64_t{0};
  struct Unfinished {
    Assembly assembly;
    std::uint64_t first_batch = 0;  // the first with pieces of it that are in no part
    bool is_carried = false;        // as it was carried forward: it may be whole by now, and all else of it gone
  };

  bool take_record(const Record& record);
  void take_frames(const Record& record);
  void salvage(const Record& record);
  void take_frame(const SessionEntry& session, Seq number, FrameType type, ByteView payload);
  void on_header(const SessionEntry& session, Seq number, ByteView payload);
  void on_skipped(const Record& record);
  void on_file(const Record& record);
  void forget(std::uint64_t session);
  void deliver(const SessionEntry& session, Assembly& assembly);
  void drop(std::uint64_t session);
  void erase(std::uint64_t session);
  void lose(std::uint64_t session);
  bool is_swallowed(std::uint64_t session, FrameType type);
  bool is_within_message(std::uint64_t session) const {
    return unfinished_.contains(session) || damaged_.contains(session);
  }
  void begin_part(std::uint64_t session, Assembly& assembly);

  std::string parts_;
  std::size_t memory_max_;
  std::uint64_t held_max_ = ~std::uint64_t{0};
  std::uint64_t held_bytes_ = 0;  // of unfinished messages, in memory
  SessionRegistry& registry_;
  Log& log_;
  Inbox& inbox_;
  InboxFiles& files_;
  std::uint64_t taking_batch_ = 0;
  bool is_replaying_ = false;
  std::unordered_map<std::uint64_t, Unfinished> unfinished_;
  std::unordered_map<std::uint64_t, bool> damaged_;  // sessions behind a loss; whether within a message
  std::vector<std::uint64_t> spills_;                // sessions whose assembly goes to its part
  std::vector<std::uint64_t> spilling_;              // of the job under way
  Instant spills_blocked_until_{};
  std::vector<std::pair<std::uint64_t, std::uint64_t>> forgotten_;  // batch and session: go with a checkpoint behind it
  std::vector<std::shared_ptr<Part>> done_parts_;                   // to go with the next checkpoint
  std::vector<std::shared_ptr<Part>> going_parts_;                  // with the one being made
  // The first batch with pieces of messages that were whole after the last checkpoint, and before the one being made.
  std::uint64_t finished_from_ = kNoBatch;
  std::uint64_t going_finished_from_ = kNoBatch;
};

}  // namespace cproto
