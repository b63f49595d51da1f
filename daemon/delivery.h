// Delivery (STORE.md §6): takes what is durable from the journal and puts it where people look for it. Runs beside the
// journal and never before a batch's own sync; a checkpoint in the journal says how far the inbox itself is safe.
//
// Happy path: on_durable -> batches go through the Assembler into the Inbox -> write -> … -> checkpoint every second or
// 64 MiB of work. One job at a time. Failure modes: a write that fails is tried again by the Inbox or the Assembler;
// after a failed sync nothing since the last checkpoint is believed, and another Delivery begins from there.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "daemon/assembler.h"
#include "daemon/batch.h"
#include "daemon/delivery_records.h"
#include "daemon/disk.h"
#include "daemon/inbox.h"
#include "daemon/inbox_files.h"
#include "daemon/journal.h"
#include "daemon/log.h"
#include "daemon/memory_shares.h"
#include "daemon/session_registry.h"
#include "proto/time.h"

namespace cproto {

struct DeliveryOptions {
  std::string inbox;       // "<store>/inbox"
  std::string links;       // second names of open logs; same file system as the inbox
  std::string parts;       // "<store>/partial"
  std::string file_parts;  // of whole files; same file system as the inbox
  ExistingFile existing_file = ExistingFile::replace;
  std::uint64_t client_share = 64u << 20;  // bytes of one client that wait for logs before its senders do
  std::size_t assembly_bytes = 1u << 20;   // more of one unfinished message than this goes to a part file
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
  void replay(const Record& record, std::uint64_t batch) { assembler_.replay(record, batch); }
  std::uint64_t delivered() const { return delivered_; }
  // Makes the folders and opens the logs again. A problem is a sentence.
  std::string open_again();

  // The journal is there, and safe: what nothing refers to is removed; batches behind delivered() that it has are
  // delivered from now on.
  // `wanted_parts`: what is there besides of files that are not whole, or not in the inbox.
  void start(Instant now, Journal& journal, const std::set<std::string>& wanted_parts);
  // Puts pending work to the disk. Cheap when there is none.
  void pump(Instant now);

  // Who hears that a file is in the inbox.
  void set_on_placed(InboxFiles::OnPlaced on_placed) { files_.set_on_placed(std::move(on_placed)); }
  void visit_files(const InboxFiles::OnPlaced& each) const { files_.visit(each); }
  void set_memory(const MemoryShares& shares);
  // Bytes in memory that are durable: batches not taken, messages not whole, and what waits for logs.
  std::uint64_t held_bytes() const { return queued_bytes_ + assembler_.held_bytes() + inbox_.held_bytes(); }
  // What a checkpoint says of it.
  void set_running_time(std::function<Duration()> running_time) { running_time_ = std::move(running_time); }
  void set_existing_file(ExistingFile existing) { files_.set_existing(existing); }

  // --- running ---
  void on_durable(Instant now, const BatchPlace& batch);
  void handle_timeout(Instant now);
  // Takes what is durable at once: somebody is about to look.
  void hurry(Instant now);
  Instant next_deadline() const;
  // Everything durable is in the inbox and checkpointed.
  bool is_idle() const;
  // What an earlier run left is still being compared with the inbox, or waits for a log that cannot be written.
  bool is_recovering() const { return is_recovering_ || inbox_.is_rewriting(); }
  // A sync failed, and with it went what was written since the last checkpoint: the kernel calls it clean. At this time
  // another Delivery is to begin from there; until then nothing is delivered. kNever: all is well, or the record of a
  // checkpoint is still on its way to the disk: its successor, not knowing it, would clear away what it names.
  Instant restart_at() const { return awaited_batch_ == 0 ? restart_at_ : kNever; }
  void restart_later(Instant now);
  // Its successor's ids go on behind these.
  std::uint64_t next_log_id() const { return inbox_.next_log_id(); }
  void begin_log_ids_at(std::uint64_t id) { inbox_.begin_log_ids_at(id); }
  // Makes a checkpoint as soon as it can, whatever the time.
  void request_checkpoint() { wants_checkpoint_ = wants_checkpoint_ || has_work_since_checkpoint_; }
  // The same, even if nothing was delivered since the last one.
  void require_checkpoint() { wants_checkpoint_ = true; }

  // As Inbox::close_logs.
  void close_logs(Instant now) {
    if (inbox_.close_logs()) pump(now);
  }

  // Carries forward what is in memory of messages begun before this batch. Returns false if it has to be called again:
  // room ran out, or a checkpoint is needed first.
  bool carry_forward(std::uint64_t before_batch);

  // What is durable and not in the inbox yet.
  struct Backlog {
    std::uint64_t batches = 0;
    std::uint64_t bytes = 0;  // of the journal
    Duration lag{0};          // for how long the oldest of it has been durable
  };
  Backlog backlog(Instant now) const;
  // As much of this client waits for its inbox as may. Empty: no; else why.
  std::string over_share(const std::string& client) const;
  // As Inbox::visit_blocked.
  void visit_blocked(const std::function<void(const InboxLog&)>& each) const { inbox_.visit_blocked(each); }
  // A job of its is on the disk.
  bool waits_for_disk() const { return is_busy_; }
  // Grows with each that came back.
  std::uint64_t moves() const { return jobs_done_; }

 private:
  bool advance();
  void queue(const BatchPlace& batch);
  void on_delivered(std::uint64_t number);
  bool relieve();
  bool open_logs();
  bool name_logs();
  bool write_pending();
  bool place_files();
  bool set_aside();
  void on_written(std::size_t spills, JobResult result);
  bool round_is_over() const;
  bool may_take() const;
  bool round_is_due() const;
  bool round_goes_on() const;
  bool take_next();
  void take_batch(const BatchPlace& place, ByteView bytes, bool is_intact);
  void remove_orphans(std::set<std::string> wanted);
  void end_recovery();
  bool checkpoint_is_due() const;
  void begin_checkpoint();
  void on_synced(JobResult result);
  void on_sync_failed(const JobResult& result);
  void on_checkpoint_durable();
  void run(Job job, std::function<void(JobResult)> done);

  Disk& disk_;
  DeliveryOptions options_;
  Log& log_;
  Inbox inbox_;
  InboxFiles files_;
  Assembler assembler_;
  MemoryShares memory_{256u << 20};
  std::function<Duration()> running_time_;
  Journal* journal_ = nullptr;
  Instant now_{};
  std::uint64_t delivered_ = 0;          // every batch up to here is in the inbox
  std::uint64_t taken_ = 0;              // every batch up to here has been taken
  std::uint64_t recovered_through_ = 0;  // up to here what is delivered may be in the logs already
  std::deque<BatchPlace> queue_;         // to be taken
  std::uint64_t queued_bytes_ = 0;       // of those that are in memory
  // Durable and not delivered, oldest first.
  struct Waiting {
    std::uint64_t number = 0;
    std::uint64_t bytes = 0;
    Instant since;
  };
  std::deque<Waiting> waiting_;
  std::uint64_t waiting_bytes_ = 0;
  std::size_t round_bytes_ = 0;  // of the batches that the round being taken has so far
  Instant next_round_{};
  Bytes read_buffer_;
  unsigned read_failures_ = 0;  // of the batch at the front
  Instant read_blocked_until_{};
  bool is_recovering_ = false;
  bool is_busy_ = false;  // a job of ours is under way
  std::uint64_t jobs_done_ = 0;
  std::uint64_t awaited_batch_ = 0;  // its checkpoint record's; 0: none
  CheckpointRecord checkpoint_;      // being made
  bool wants_checkpoint_ = false;
  bool has_work_since_checkpoint_ = false;
  std::size_t logs_closed_ = 0;  // since memory was last given back
  std::uint64_t bytes_since_checkpoint_ = 0;
  Instant next_checkpoint_{};
  Instant restart_at_ = kNever;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace cproto
