// The files of the inbox (STORE.md §6): `<client>/files/<name>`, put there by renaming the part that holds their bytes.
//
// Happy path: take(whole) -> placing job: folders, rename, sync of the directories -> on_placed, the session hears of
// it. Failure modes: one that cannot be placed (a folder of its name, permissions) waits alone and is tried again; a
// checkpoint carries it on. A part that is gone was placed before, by a run that did not live to say so.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "config/config.h"
#include "daemon/disk.h"
#include "daemon/log.h"
#include "daemon/records.h"
#include "proto/time.h"

namespace cproto {

// What may wait for its place, and so be in a checkpoint. Beyond it the journal keeps what comes.
inline constexpr std::size_t kInboxFilesMax = 4000;
// Of one client, before its senders wait.
inline constexpr std::size_t kInboxFilesOfClientMax = 250;

class InboxFiles {
 public:
  using OnPlaced = std::function<void(std::uint64_t session, Seq first)>;

  // Parts are in `parts`, on the same file system as `directory`.
  InboxFiles(const std::string& directory, const std::string& parts, ExistingFile existing, Log& log)
      : directory_(directory), parts_(parts), existing_(existing), log_(log) {}

  void set_on_placed(OnPlaced on_placed) { on_placed_ = std::move(on_placed); }
  void set_existing(ExistingFile existing) { existing_ = existing; }

  // A whole file; said twice it is one.
  void take(const CheckpointRecord::File& file);
  void add_wanted(std::set<std::string>& paths) const;
  void add_to(CheckpointRecord& checkpoint) const;

  // Calls `each` with every file that is to be placed.
  void visit(const OnPlaced& each) const;

  bool is_empty() const { return pending_.empty(); }
  // So many wait that no more are to be taken before some are placed.
  bool is_full() const { return pending_.size() >= kInboxFilesMax; }
  // As many of this client wait as may. Empty: no; else why.
  std::string over_share(const std::string& client) const;
  // Places what can be placed now. Empty: nothing can.
  Job placing_job(Instant now);
  // False if the directories could not be synced: nothing of the job is known to be safe.
  [[nodiscard]] bool on_placed(Instant now, JobResult result);
  // kNever: nothing is to be tried again.
  Instant next_deadline(Instant now) const;

 private:
  struct Pending {
    CheckpointRecord::File file;
    bool is_second = false;  // of its name, when it came
    bool is_in_job = false;
    Instant blocked_until{};
    std::string trouble;
  };

  std::string target_of(const CheckpointRecord::File& file) const {
    return directory_ + "/" + file.client_id + "/files/" + file.name;
  }
  bool is_held_up(const Pending& pending) const;
  void add_folders(const std::string& client, Job& job) const;
  void block(Pending& pending, Instant now, int error);

  std::string directory_;
  std::string parts_;
  ExistingFile existing_;
  Log& log_;
  OnPlaced on_placed_;
  std::vector<Pending> pending_;
  std::map<std::string, std::size_t> pending_of_;  // by client
  std::set<std::string> made_;                     // clients whose folders are there, durably
  std::vector<std::size_t> end_of_;  // of the job under way: where the operations of each file end; the syncs follow
  std::vector<std::string> synced_;  // of these folders
};

}  // namespace cproto
