// Delivery (STORE.md §6): takes what is durable from the journal and puts it where people look for it. Runs beside the
// journal and never before a batch's own sync; a checkpoint in the journal says how far the inbox itself is safe.
//
// Happy path: on_durable -> take_batch (messages gather per log) -> write -> … -> checkpoint every second or 64 MiB of
// work. A log seen for the first time is opened, given a second name in the store, and registered in the journal with
// its length before the first byte goes to it: so recovery knows what of it is ours. Failure modes: a log renamed or
// removed is completed under its second name and a new one begun; one that cannot be written waits alone with its
// reason; a failed sync writes nothing off: the checkpoint is simply not made.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/batch.h"
#include "daemon/delivery_records.h"
#include "daemon/disk.h"
#include "daemon/inbox_log.h"
#include "daemon/journal.h"
#include "daemon/log.h"
#include "daemon/session_registry.h"
#include "proto/time.h"

namespace cproto {

struct DeliveryOptions {
  std::string inbox;                      // "<store>/inbox"
  std::string links;                      // second names of open logs; same file system as the inbox
  std::string parts;                      // "<store>/partial"
  std::size_t assembly_bytes = 1u << 20;  // more of one unfinished message than this goes to a part file
};

class Delivery {
 public:
  Delivery(Disk& disk, const DeliveryOptions& options, SessionRegistry& registry, Log& log);
  ~Delivery();
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  // --- recovery, before start() ---
  void restore(const DeliveryRecords& records);
  // A record of a batch that delivery has passed: only what is unfinished in it counts.
  void replay(const Record& record, std::uint64_t batch);
  std::uint64_t delivered() const { return delivered_; }
  // Makes the folders and opens the logs again. A problem is a sentence.
  std::string open_again();

  // The journal is there, and safe: what nothing refers to is removed; batches behind delivered() that it has are
  // delivered from now on.
  void start(Instant now, Journal& journal);
  // Puts pending work to the disk. Cheap when there is none.
  void pump(Instant now);

  // --- running ---
  void on_durable(Instant now, const BatchPlace& batch);
  void handle_timeout(Instant now);
  Instant next_deadline() const;
  // Everything durable is in the inbox and checkpointed.
  bool is_idle() const;
  // What an earlier run left is still being compared with what is in the inbox.
  bool is_recovering() const { return is_recovering_; }
  // A sync failed, and with it went what was written since the last checkpoint: the kernel calls it clean. At this time
  // another Delivery is to begin from there; until then nothing is delivered. kNever: all is well.
  Instant restart_at() const { return restart_at_; }
  void restart_later(Instant now);
  // Its successor's ids go on behind these.
  std::uint64_t next_log_id() const { return next_log_id_; }
  void begin_log_ids_at(std::uint64_t id) { next_log_id_ = std::max(next_log_id_, id); }
  // Makes a checkpoint as soon as it can, whatever the time.
  void request_checkpoint() { wants_checkpoint_ = wants_checkpoint_ || has_work_since_checkpoint_; }

  // Carries forward what is in memory of messages begun before this batch. Returns false if room ran out; call again.
  bool carry_forward(std::uint64_t before_batch);

  std::uint64_t backlog_batches() const { return queue_.size(); }

 private:
  static constexpr std::uint64_t kNoBatch = ~std::uint64_t{0};
  struct Unfinished {
    Assembly assembly;
    std::uint64_t first_batch = 0;  // the first with pieces of it that are in no part
    bool is_carried = false;        // as it was carried forward: it may be whole by now, and all else of it gone
  };
  // A log and how many operations of a job end its share.
  struct Share {
    InboxLog* log = nullptr;
    std::size_t end = 0;
  };

  void restore(const LogRecord& log);
  void restore(std::uint64_t session, const PiecesRecord& pieces, std::uint64_t batch);
  bool advance();
  bool read_next_batch();
  void take_batch(const BatchPlace& place, ByteView bytes);
  void take_record(const Record& record);
  void take_frames(const Record& record);
  void take_frame(const SessionEntry& session, Seq number, FrameType type, ByteView payload);
  void on_header(const SessionEntry& session, Seq number, ByteView payload);
  void deliver(const SessionEntry& session, Assembly& assembly);
  void drop(std::uint64_t session);
  void erase(std::uint64_t session);
  void lose(std::uint64_t session);
  bool is_swallowed(std::uint64_t session, FrameType type);
  InboxLog& log_of(const std::string& client_id, const std::string& channel, MessageKind kind);
  void put(InboxLog& log, MessageKind kind, ByteView payload);
  void queue(InboxLog& log);
  bool is_blocked(const InboxLog& log) const { return log.blocked_until > now_; }

  bool open_logs();
  void on_opened(const std::vector<InboxLog*>& logs, JobResult result);
  bool write_round();
  void add_spills(Job& job);
  void on_written(const std::vector<Share>& shares, JobResult result);
  void complete(InboxLog& log);
  void block(InboxLog& log, int error, const char* doing);
  bool round_is_over() const;
  void end_recovery();

  bool checkpoint_is_due() const;
  void begin_checkpoint();
  void on_synced(JobResult result);
  void on_checkpoint_durable();
  std::string open_again(InboxLog& log);
  void remove_orphans();
  void forget(std::uint64_t session);
  void run(Job job, std::function<void(JobResult)> done);

  Disk& disk_;
  DeliveryOptions options_;
  SessionRegistry& registry_;
  Log& log_;
  Journal* journal_ = nullptr;
  Instant now_{};
  std::uint64_t delivered_ = 0;          // every batch up to here is in the inbox
  std::uint64_t recovered_through_ = 0;  // up to here what is delivered may be in the logs already
  std::uint64_t next_log_id_ = 1;
  std::deque<BatchPlace> queue_;
  Bytes read_buffer_;
  std::map<std::string, std::unique_ptr<InboxLog>> logs_;  // by "<client>/<name>"
  std::unordered_map<std::uint64_t, Unfinished> unfinished_;
  std::unordered_map<std::uint64_t, bool> damaged_;  // sessions behind a loss; whether within a message
  std::vector<InboxLog*> round_;                     // with something pending
  std::uint64_t round_through_ = 0;                  // the last batch whose messages are in the round
  std::vector<std::uint64_t> spills_;                // sessions whose assembly goes to its part
  std::size_t spill_operations_ = 0;                 // of the job under way
  std::uint64_t blocked_bytes_ = 0;                  // waiting for logs that cannot be written
  std::uint64_t taking_batch_ = 0;
  std::vector<FileStatus> statuses_;                                // of the job under way
  Instant spills_blocked_until_{};                                  // after a failure
  std::vector<std::pair<std::uint64_t, std::uint64_t>> forgotten_;  // batch and session: go with a checkpoint behind it
  bool is_replaying_ = false;
  bool is_recovering_ = false;
  bool is_busy_ = false;             // a job of ours is under way
  std::uint64_t awaited_batch_ = 0;  // its checkpoint record's; 0: none
  CheckpointRecord checkpoint_;      // being made
  std::vector<std::shared_ptr<File>> closing_files_;
  std::vector<std::shared_ptr<Part>> done_parts_;   // to go with the next checkpoint
  std::vector<std::shared_ptr<Part>> going_parts_;  // with the one being made
  // The first batch with pieces of messages that were whole after the last checkpoint, and before the one being made.
  std::uint64_t finished_from_ = kNoBatch;
  std::uint64_t going_finished_from_ = kNoBatch;
  bool wants_checkpoint_ = false;
  bool has_work_since_checkpoint_ = false;
  Instant restart_at_ = kNever;
  std::uint64_t bytes_since_checkpoint_ = 0;
  Instant last_checkpoint_{};
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace cproto
