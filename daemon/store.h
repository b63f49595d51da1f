// What survives: the journal, the sessions and the inbox as one thing (STORE.md). Connections hand it what they
// received; it tells them what of it is on disk. Opens a store after whatever happened to it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "daemon/counters.h"
#include "daemon/delivery.h"
#include "daemon/disk.h"
#include "daemon/file_intake.h"
#include "daemon/journal.h"
#include "daemon/journal_check.h"
#include "daemon/log.h"
#include "daemon/memory_shares.h"
#include "daemon/partial_frames.h"
#include "daemon/recovery.h"
#include "daemon/repeats.h"
#include "daemon/session_registry.h"
#include "daemon/space_watch.h"
#include "proto/server_session.h"
#include "proto/time.h"

namespace cproto {

// In running time of the store; 0: never.
struct ForgetOptions {
  Duration unfinished_after{0};  // half-sent messages and files
  Duration session_after{0};
};

struct StoreOptions {
  std::string directory;
  std::string inbox;  // empty: "inbox" in the directory
  ExistingFile existing_file = ExistingFile::replace;
  std::uint64_t segment_size = 64u << 20;
  RegistryOptions registry;  // its store id is filled in
  SpaceLimits space;
  std::uint64_t memory = 256u << 20;  // bytes of what was received and is not on disk, about
  ForgetOptions forget;
  // Now and then while the store is opened: what of it is done, for people.
  std::function<void(const std::string&)> on_progress;
};

// What the store needs of the world besides a disk.
struct World {
  std::function<Instant()> now;
  std::function<Id128()> draw_id;                 // 128 random bits
  std::function<std::string()> time_of_day = {};  // "02:14", for people; empty: unknown
};

class Store final : public Journal::Owner, public FileIntake::Owner {
 public:
  // Opens the store in options.directory, or creates it. Recovers what an earlier run left; lines about it go to `log`.
  static std::variant<std::unique_ptr<Store>, StoreProblem> open(Disk& disk, const StoreOptions& options,
                                                                 const World& world, Log& log);
  ~Store() override;

  // --- sessions ---
  std::variant<Admission, Error> admit(const Syn& syn, SessionHolder& holder);
  void release(SessionEntry& entry, const SessionHolder& holder);
  bool use_channel(SessionEntry& entry, const std::string& channel) { return registry_->use_channel(entry, channel); }
  // The session is finished and its client knows.
  void forget(SessionEntry& entry);

  // Calls `each` with every session of the client, or the one with this short name; then it may be changed.
  void visit_sessions(const std::string& client_or_session, const std::function<void(SessionEntry&)>& each);

  // Reads every batch of the journal again, and says of each that is damaged; `done` comes with how many were read.
  void verify(JournalCheck::Damage damage, JournalCheck::Done done);

  // For sessions that begin, or come back, from now on. The store's id stays.
  void set_limits(const RegistryOptions& options) { registry_->set_options(options); }
  // For everybody, from now on.
  void set_limits(const SpaceLimits& limits);
  void set_memory(std::uint64_t bytes);
  void set_forget(const ForgetOptions& options) { options_.forget = options; }
  // For files that are whole from now on.
  void set_existing_file(ExistingFile existing_file);

  // --- data: durable when the holder hears on_committed() ---
  void append(SessionEntry& entry, const server_event::Received& run);
  void append(SessionEntry& entry, const server_event::Skipped& skipped);
  // Nothing of the session is missing where it belongs, as far as it was received and is durable.
  static bool is_delivered(const SessionEntry& entry) { return entry.undelivered.empty(); }
  // Its client is about to end, and may look for what it sent: with this turn of the loop delivery takes what is
  // durable.
  void hurry() { is_hurried_ = true; }
  // Bytes that may be read for now; 0: stop reading, and go on when on_room is called.
  std::size_t room() const { return trouble_ ? 0 : journal_->room(); }
  // The same of one session, or of a connection that has none yet (nullptr).
  std::size_t room(const SessionEntry* entry) const {
    return entry == nullptr ? room() : std::min(room(), intake_->room(*entry));
  }
  // Called when room() has become more than 0 again.
  void set_on_room(std::function<void()> on_room) { on_room_ = std::move(on_room); }
  // Why nothing is acknowledged at the moment; nullptr if it is.
  const Error* trouble() const { return trouble_ ? &*trouble_ : nullptr; }
  const Error* trouble(const SessionEntry& entry) const {
    return trouble_ ? &*trouble_ : intake_->trouble(entry.index);
  }
  // Why nothing new is taken from this client although the disk works: there is too little room on it, or the client
  // has as much as it may. nullptr if it is taken. Lives until the next call.
  const Error* no_room(const std::string& client);

  // --- the turn ---
  // Hands what was appended to the disk. Call once a turn of the loop.
  void flush();
  void handle_timeout();
  Instant next_deadline() const;
  // Nothing is under way: everything appended is durable, delivered and sealed.
  bool is_at_rest() const;
  // Wants to come to rest: delivers, checkpoints and seals without waiting for the second of idleness.
  void settle();

  const StoreId& id() const { return id_; }
  const Journal& journal() const { return *journal_; }
  const Delivery& delivery() const { return *delivery_; }
  const FileIntake& intake() const { return *intake_; }
  const SpaceWatch& space() const { return *space_; }
  // Frames of connections that are not whole.
  PartialFrames& partial_frames() { return partial_frames_; }
  const PartialFrames& partial_frames() const { return partial_frames_; }
  // A connection from there is sent away with its unfinished frame.
  void note_overload(const std::string& peer);
  // Bytes in memory of what was received.
  std::uint64_t held_bytes() const;
  std::uint64_t memory() const { return options_.memory; }
  const SessionRegistry& registry() const { return *registry_; }
  const StoreCounters& counters() const { return counters_; }
  // Grows with each batch that became durable, or failed to.
  std::uint64_t moves() const { return counters_.batch_bytes.count() + counters_.failures; }

 private:
  Store(Disk& disk, const StoreOptions& options, const World& world, Log& log);

  std::string path(const char* name) const { return options_.directory + "/" + name; }
  std::optional<StoreProblem> open_identity();
  void sync_parent();
  void watch_space();
  void watch_room();
  void say_held();
  void tell(const std::vector<SessionEntry*>& entries, const std::function<void(SessionHolder&)>& what);
  std::optional<StoreProblem> recover();
  std::string inbox() const;
  std::string file_parts() const;
  std::unique_ptr<Delivery> make_delivery();
  void restart_delivery();
  void read_again(const BatchPlace& batch, const std::function<void(const Record&)>& each);

  void append_frames(SessionEntry& entry, Seq first, std::uint32_t count, ByteView frames, const Position& after);
  void append_skipped(SessionEntry& entry, Seq first, std::uint32_t count, const SkippedRecord& skipped);
  void append_file(SessionEntry& entry, Seq first, std::uint32_t count, const FileRecord& file);
  void tell_refusal(SessionEntry& entry, const Refusal& refusal);
  void on_placed(std::uint64_t session, Seq first);
  std::set<std::string> wanted_parts() const;
  void record_session(SessionEntry& entry);
  void record_end(const SessionEntry& entry);
  // For how long daemons have run with this store, in all: nothing is measured by a clock that somebody sets.
  Duration running_time() const { return ran_before_ + (world_.now() - opened_at_); }
  Duration recording_interval() const;
  void note_there(SessionEntry& entry);
  void let_go_of_old();
  void let_go_of_message(SessionEntry& entry);
  void let_go_of_session(SessionEntry& entry);
  void touch(SessionEntry& entry);

  void on_batch_started() override;
  void on_durable(const BatchPlace& batch, Duration sync_time) override;
  void on_failed(int error, std::uint32_t segment) override;
  bool carry_forward(std::uint64_t before_batch) override;

  std::uint64_t append(std::uint64_t session, const FileIntake::Ready& ready) override;
  void on_trouble(std::uint64_t session, const Error& trouble) override;
  void on_step() override;

  Disk& disk_;
  StoreOptions options_;
  World world_;
  Log& log_;
  StoreId id_{};
  std::uint64_t secret_ = 0;
  PartialFrames partial_frames_;
  std::unique_ptr<SpaceWatch> space_;
  std::unique_ptr<SessionRegistry> registry_;
  std::unique_ptr<FileIntake> intake_;
  std::unique_ptr<Delivery> delivery_;
  std::unique_ptr<Journal> journal_;
  std::vector<SessionEntry*> touched_;  // with something in the batch being gathered
  std::vector<SessionEntry*> flying_;   // with something in the batch on its way
  std::function<void()> on_room_;
  std::optional<Error> trouble_;
  Error no_room_;               // as it was last told
  std::uint64_t failures_ = 0;  // since it worked
  StoreCounters counters_;
  std::optional<Instant> held_since_;  // nobody is read
  bool was_held_said_ = false;         // of this time
  Repeats held_lines_;
  Repeats overload_lines_;
  Duration ran_before_{0};
  Instant opened_at_{};
  Instant let_go_at_ = kNever;
  Instant trouble_said_at_{};
  Instant last_batch_{};
  Instant retry_at_ = kNever;
  bool is_hurried_ = false;  // in this turn
  bool is_settling_ = false;
  bool is_sealed_ = false;
};

}  // namespace cproto
