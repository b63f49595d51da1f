// The store that is this host's disk: the journal, the sessions and the inbox as one thing (STORE.md). Opens it after
// whatever happened to it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "daemon/delivery.h"
#include "daemon/disk.h"
#include "daemon/file_intake.h"
#include "daemon/journal.h"
#include "daemon/journal_check.h"
#include "daemon/memory_shares.h"
#include "daemon/recovery.h"
#include "daemon/space_watch.h"
#include "daemon/store.h"
#include "proto/time.h"

namespace cproto {

class JournalStore final : public Store, public Journal::Owner, public FileIntake::Owner {
 public:
  // Opens the store in options.directory, or creates it. Recovers what an earlier run left; lines about it go to `log`.
  static std::variant<std::unique_ptr<JournalStore>, StoreProblem> open(Disk& disk, const StoreOptions& options,
                                                                        const World& world, Log& log);
  ~JournalStore() override;

  // --- Store ---
  void set_options(const StoreOptions& options) override;
  std::optional<Admitted> admit(const Syn& syn, SessionHolder& holder) override;
  void release(SessionEntry& entry, const SessionHolder& holder) override;
  void forget(SessionEntry& entry) override;
  void append(SessionEntry& entry, const server_event::Received& run) override;
  void append(SessionEntry& entry, const server_event::Skipped& skipped) override;
  bool takes_files() const override { return true; }
  bool is_delivered(const SessionEntry& entry) const override { return entry.undelivered.empty(); }
  void hurry() override { is_hurried_ = true; }  // with this turn of the loop delivery takes what is durable
  std::size_t room() const override { return trouble_ ? 0 : journal_->room(); }
  std::size_t room(const SessionEntry* entry) const override {
    return entry == nullptr ? room() : std::min(room(), intake_->room(*entry));
  }
  const Error* trouble() const override { return trouble_ ? &*trouble_ : nullptr; }
  const Error* trouble(const SessionEntry& entry) const override {
    return trouble_ ? &*trouble_ : intake_->trouble(entry.index);
  }
  // There is too little room on the disk, or the client has as much as it may.
  const Error* no_room(const std::string& client) override;
  void flush() override;
  void handle_timeout() override;
  Instant next_deadline() const override;
  // Everything appended is durable, delivered and sealed.
  bool is_at_rest() const override;
  // Delivers, checkpoints and seals without waiting for the second of idleness.
  void settle() override;
  std::uint64_t moves() const override { return batch_moves() + delivery_->moves(); }
  bool verify(JournalCheck::Damage damage, JournalCheck::Done done) override;
  bool is_busy() const override;
  std::vector<Wait> waits() const override;
  bool is_idle_with_work() const override { return !journal_->is_idle() && !journal_->waits_for_disk(); }
  const Error* worst_trouble() const override { return trouble_ ? &*trouble_ : space_->trouble(); }
  void add_details(Details& details, bool is_for_programs) const override;
  void add_metrics(Exposition& out) const override;
  std::string why_held() const override;
  std::string why_blocked(const std::string& client) const override;
  std::string left_to_do() const override;
  std::string who_has_the_rest() const override { return "the journal has it"; }
  std::uint64_t held_bytes() const override;

  const Journal& journal() const { return *journal_; }
  const Delivery& delivery() const { return *delivery_; }
  const FileIntake& intake() const { return *intake_; }
  const SpaceWatch& space() const { return *space_; }

 private:
  JournalStore(Disk& disk, const StoreOptions& options, const World& world, Log& log);

  std::string path(const char* name) const { return options_.directory + "/" + name; }
  std::optional<StoreProblem> open_identity();
  void sync_parent();
  void watch_space();
  // Grows with each batch that became durable, or failed to.
  std::uint64_t batch_moves() const { return counters_.batch_bytes.count() + counters_.failures; }
  std::optional<StoreProblem> recover();
  std::string inbox() const;
  std::string file_parts() const;
  std::unique_ptr<Delivery> make_delivery();
  void restart_delivery();
  void read_again(const BatchPlace& batch, const std::function<void(const Record&)>& each);

  void append_frames(SessionEntry& entry, Seq first, std::uint32_t count, ByteView frames, const Position& after);
  void append_skipped(SessionEntry& entry, Seq first, std::uint32_t count, const SkippedRecord& skipped);
  void append_file(SessionEntry& entry, Seq first, std::uint32_t count, const FileRecord& file);
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
  StoreId id_{};
  std::uint64_t secret_ = 0;
  std::unique_ptr<SpaceWatch> space_;
  std::unique_ptr<FileIntake> intake_;
  std::unique_ptr<Delivery> delivery_;
  std::unique_ptr<Journal> journal_;
  std::vector<SessionEntry*> touched_;  // with something in the batch being gathered
  std::vector<SessionEntry*> flying_;   // with something in the batch on its way
  std::optional<Error> trouble_;
  Error no_room_;               // as it was last told
  std::uint64_t failures_ = 0;  // since it worked
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
