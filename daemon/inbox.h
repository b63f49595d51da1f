// The logs of the inbox (STORE.md §6): opens them, appends to them, and knows how long each of them ought to be.
//
// Happy path: log_of -> put… -> opening job -> registered in the journal -> writing job. A log seen for the first time
// is given a second name in the store and registered with its length before the first byte goes to it: so recovery
// knows what of it is ours. Failure modes: a log renamed or removed is completed under its second name and a new one
// begun; one that cannot be written waits alone, with its reason: what is for it is set aside in the store, so that a
// checkpoint can pass it, and the others go on. A client of which more than its share is set aside is to wait.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "daemon/assembly.h"
#include "daemon/disk.h"
#include "daemon/inbox_log.h"
#include "daemon/journal.h"
#include "daemon/log.h"
#include "daemon/records.h"
#include "proto/time.h"

namespace cproto {

class Inbox {
 public:
  // Logs go below `directory`, their second names into `links`, on the same file system; what is set aside into
  // `asides`, at most about `share` bytes of one client.
  Inbox(Disk& disk, const std::string& directory, const std::string& links, const std::string& asides,
        std::uint64_t share, Log& log)
      : disk_(disk), directory_(directory), links_(links), asides_(asides), share_(share), log_(log) {}

  const std::string& directory() const { return directory_; }

  // --- recovery ---
  void restore(const LogRecord& log);
  void restore(const CheckpointRecord::Aside& aside) { restored_asides_.push_back(aside); }
  // Opens the logs that were restored, under whatever name they have by now. One that is gone is forgotten, and said;
  // one that cannot be opened waits. A problem is a sentence.
  std::string open_again();
  void add_wanted(std::set<std::string>& paths) const;
  std::uint64_t next_log_id() const { return next_log_id_; }
  void begin_log_ids_at(std::uint64_t id) { next_log_id_ = std::max(next_log_id_, id); }
  // While it recovers, what goes to a log may be there already: it is written where it belongs, whatever is there.
  void set_recovering(bool is_recovering);
  // A log is still as a crash, or a write that failed, left it.
  bool is_rewriting() const;

  // --- messages: pending until they were written ---
  // What is put from now on is of this batch.
  void begin_batch(std::uint64_t number) { batch_ = number; }
  InboxLog& log_of(const std::string& client_id, const std::string& channel, MessageKind kind);
  // So many bytes are about to be put.
  void reserve(InboxLog& log, std::size_t bytes) { log.reserve(bytes, spare_); }
  void put(InboxLog& log, MessageKind kind, ByteView payload);
  // The first bytes of this one are in its part.
  void put(InboxLog& log, Assembly& assembly);

  bool has_pending() const { return !pending_.empty(); }
  // Calls `each` with every log that cannot be written for now: `trouble` says why.
  void visit_blocked(const std::function<void(const InboxLog&)>& each) const;
  // All that is pending waits for logs that cannot be written for now.
  bool is_all_blocked(Instant now) const;
  // Of these, pending since the last time nothing was.
  std::uint64_t blocked_bytes() const { return blocked_bytes_; }
  // Nothing is pending but what was set aside.
  bool is_settled() const;
  // More than its share waits for logs of this client. Empty: no; else why.
  std::string over_share(const std::string& client) const;
  // Bytes in memory.
  std::uint64_t held_bytes() const;
  // kNever: nothing is to be tried again.
  Instant next_deadline(Instant now) const;

  // --- jobs: one at a time; what they point at is here ---
  // Logs that have what was for them are synced and their files closed, where descriptors are short: they are opened
  // again when there is more. Empty: there are enough, or none is to be had for now.
  Job relieving_job(Instant now);
  void on_relieved();
  // Opens logs that are new. Empty: none is.
  Job opening_job(Instant now);
  void on_opened(Instant now, JobResult result);
  // Makes the names of those that were opened durable, which are registered then. To come next. Empty: none was.
  Job naming_job() const;
  void on_named(Instant now, JobResult result, Journal& journal);
  // Writes what is pending. Adds nothing if nothing can be written.
  void add_writes(Instant now, const Journal& journal, Job& job);
  void on_written(Instant now, JobResult result);
  // Sets aside what waits for logs that cannot be written. Pre: all that is pending does. Empty: there is nothing, or
  // it cannot be done now.
  Job aside_job(Instant now);
  void on_set_aside(Instant now, JobResult result);
  // Something was found that recovery has to know of: the next checkpoint is not to wait.
  bool wants_checkpoint() const { return wants_checkpoint_; }
  // Logs that nothing is written to are closed with the next checkpoints: no second name then holds the space of one
  // that its owner removes. False: none is open.
  bool close_logs();
  // When to do so although nothing calls for a checkpoint: many are open, and nothing has been written for a while.
  Instant idle_at() const;
  // As Assembler::add_closes.
  void add_closes(Job& job, std::vector<std::shared_ptr<File>>& files);

  // --- checkpoints: begin -> on_synced -> on_durable, or the Inbox is given up ---
  void begin_checkpoint(Instant now, CheckpointRecord& checkpoint, Job& job);
  void on_synced();
  void on_checkpoint_durable(Job& job, std::vector<std::shared_ptr<File>>& files);

 private:
  // A log and where the operations of its share are in the job: those that write, and the end.
  struct Share {
    InboxLog* log = nullptr;
    std::size_t writes = 0;
    std::size_t end = 0;
  };

  bool is_blocked(const InboxLog& log, Instant now) const { return log.blocked_until > now; }
  bool can_relieve(Instant now) const;
  bool is_short_of_descriptors(Instant now, int error);
  std::string open_again(InboxLog& log);
  void close_linked(InboxLog& log);
  bool is_log(const FileStatus& file, const InboxLog& log);
  std::string open_asides();
  std::unique_ptr<InboxLog>& place_of(const std::string& client_id, const std::string& name);
  void count_shares();
  void queue(InboxLog& log, std::size_t size);
  void complete(InboxLog& log, Instant now);
  void go_on_at_end(InboxLog& log, std::uint64_t size);
  bool was_before(const InboxLog& log) const;
  void keep_spare(std::vector<LogChunk>& written);
  InboxLog& follow(std::unique_ptr<InboxLog>& log);
  void leave(InboxLog& log);
  std::unique_ptr<InboxLog> from_record(const LogRecord& record) const;
  void on_not_opened(InboxLog& log, Instant now, int error);
  void close_file(InboxLog& log);
  void block(InboxLog& log, Instant now, int error, const char* doing);

  Disk& disk_;
  std::string directory_;
  std::string links_;
  std::string asides_;
  std::uint64_t share_;
  Log& log_;
  std::uint64_t next_log_id_ = 1;
  std::map<std::string, std::unique_ptr<InboxLog>> logs_;  // by "<client>/<name>"
  std::vector<std::unique_ptr<InboxLog>> left_;            // renamed or removed: to be completed, synced and closed
  std::vector<InboxLog*> pending_;
  Bytes spare_;                       // memory of what was written, for what is pending next
  std::vector<InboxLog*> opening_;    // and not registered yet
  std::vector<Share> shares_;         // of the job under way
  std::vector<FileStatus> statuses_;  // of the job under way
  std::vector<CheckpointRecord::Aside> restored_asides_;
  std::vector<InboxLog*> setting_aside_;             // of the job under way
  std::vector<std::shared_ptr<Part>> done_asides_;   // to go with the next checkpoint
  std::vector<std::shared_ptr<Part>> going_asides_;  // with the one being made
  Instant aside_blocked_until_{};
  int aside_error_ = 0;                            // as it was said last; 0: none since it worked
  std::map<std::string, std::string> over_share_;  // clients, and why
  std::uint64_t blocked_bytes_ = 0;
  std::uint64_t batch_ = 0;
  bool is_recovering_ = false;
  bool wants_checkpoint_ = false;
  std::size_t opened_again_ = 0;     // at recovery
  bool lacks_descriptors_ = false;   // opening waits for relieving_job()
  std::vector<InboxLog*> relieved_;  // of the job under way
  bool closes_logs_ = false;         // with the next checkpoint
  std::size_t open_ = 0;             // logs that the last checkpoint left open
  Instant idle_since_{};             // nothing was written, nor closed, since then
};

}  // namespace cproto
