// Whole files on their way in (STORE.md §7): their bytes go once, straight to a part that is renamed into the inbox
// when it is whole; the journal holds only how far each has come. What a session sends behind such bytes waits here for
// its turn, as numbers become durable in order.
//
// Happy path: take(run) -> gathered -> a step: its bytes to the part and through the digest, both on the pool -> sync
// -> Owner::append of what it was for, which the journal makes durable -> ... -> the step with the last bytes: size,
// mode and time are set, the digest agrees, the file is whole. One step at a time, the sessions taking turns; what
// comes meanwhile is gathered for the next. Failure modes: the digest or the size is not what was announced, or the
// space cannot be had: the file is refused and its part goes. The disk takes nothing: the step is tried again after a
// while, from the bytes that are still here.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "daemon/disk.h"
#include "daemon/incoming_file.h"
#include "daemon/log.h"
#include "daemon/memory_shares.h"
#include "daemon/records.h"
#include "daemon/session_registry.h"
#include "proto/server_session.h"
#include "proto/time.h"

namespace cproto {

// PROTOCOL §6.2. What may be on its way of a session whose messages are files; it is not held in memory for long.
inline constexpr std::uint64_t kFileWindowBytes = 32u << 20;

struct FileIntakeOptions {
  std::string parts;                             // "<store>/partial"
  std::string inbox;                             // whose group a file gets
  std::uint64_t step_bytes = 8u << 20;           // synced together at the most
  std::uint64_t shared_step_bytes = 1u << 20;    // the same, while messages want the disk, too
  Duration step_time = 100ms;                    // a step waits so long for more
  std::uint64_t gathered_bytes_max = 64u << 20;  // of all sessions
};

class FileIntake {
 public:
  // Numbers whose turn in the journal has come.
  struct Ready {
    struct Frames {
      Bytes bytes;
    };
    Seq first;
    std::uint32_t count = 0;
    Position after;
    std::variant<Frames, SkippedRecord, FileRecord> what;
  };

  class Owner {
   public:
    virtual ~Owner() = default;
    // Returns the batch that has it.
    virtual std::uint64_t append(std::uint64_t session, const Ready& ready) = 0;
    // The disk does not take what the session sent; it is tried again.
    virtual void on_trouble(std::uint64_t session, const Error& trouble) = 0;
    // A step is over: there may be room again.
    virtual void on_step() = 0;
  };

  FileIntake(Disk& disk, const FileIntakeOptions& options, Log& log, Owner& owner);
  ~FileIntake();
  FileIntake(const FileIntake&) = delete;
  FileIntake& operator=(const FileIntake&) = delete;

  // --- recovery ---
  // `batch`: where this record is.
  void restore(std::uint64_t session, const FileRecord& record, std::uint64_t batch);
  void drop_restored(std::uint64_t session) { sessions_.erase(session); }
  // The parts of files that are not whole.
  void add_wanted(std::set<std::string>& paths) const;

  // --- running ---
  // Something of the session waits here: what it sends must come here, too.
  bool is_waiting(std::uint64_t session) const;
  // A file of the session is under way.
  bool has_file(std::uint64_t session) const {
    const auto it = sessions_.find(session);
    return it != sessions_.end() && it->second.file != nullptr;
  }
  void take(Instant now, const SessionEntry& entry, const server_event::Received& run);
  void take(Instant now, const SessionEntry& entry, const server_event::Skipped& skipped);
  // Bytes the session may send for now; 0: stop reading it until on_step(). While much is gathered, sessions of one
  // client share a part of what may be: others find room.
  std::size_t room(const SessionEntry& entry) const;
  void set_memory(const MemoryShares& shares);
  // Bytes in memory: gathered, and in the step under way.
  std::uint64_t held_bytes() const { return gathered_bytes_ + step_held_bytes_; }
  // Why nothing of this session becomes durable at the moment; nullptr if it does.
  const Error* trouble(std::uint64_t session) const;
  // The session is over; what it left unfinished goes with this batch.
  void forget(std::uint64_t session, std::uint64_t batch);

  // Somebody's messages go to the disk: for a while files leave it room.
  void note_messages(Instant now) { messages_at_ = now; }
  // Begins what is due. Call once a turn of the loop.
  void flush(Instant now);
  Instant next_deadline() const;
  // Files whose announced size would leave less free on their file system are refused from now on. Bytes.
  void set_keep_free(std::uint64_t bytes) { keep_free_ = bytes; }
  // From now on steps wait for nothing.
  void settle() { is_settling_ = true; }
  bool is_idle() const { return !step_ && waiting_.empty(); }
  bool waits_for_disk() const { return step_ != nullptr; }
  std::uint64_t gathered_bytes() const { return gathered_bytes_; }
  // Grows with each step that came back.
  std::uint64_t moves() const { return steps_done_; }

  // Appends again what is known of files whose last record is in a batch before this one. Stops, and returns false, as
  // soon as there is no space. `position_of` a session: as of its last record.
  bool carry_forward(std::uint64_t before_batch, const std::function<bool()>& has_space,
                     const std::function<Position(std::uint64_t)>& position_of);
  // Every batch up to this one is durable: parts that nothing refers to any more are removed.
  void on_durable(std::uint64_t batch);

 private:
  // Numbers that wait, in order. Those of one file and state stand together up to kChunkBytes.
  struct Unit {
    enum class Kind : std::uint8_t { frames, skipped, file, file_end, file_dropped };
    Kind kind = Kind::frames;
    Seq first;
    std::uint32_t count = 0;
    Position after;
    Bytes bytes;  // frames as they came; of a file its bytes alone
    Refusal refusal;
    std::shared_ptr<IncomingFile> file;
    std::uint64_t offset = 0;  // of `bytes` in the file
  };
  struct Session {
    std::shared_ptr<IncomingFile> file;      // the one that comes in
    std::shared_ptr<IncomingFile> recorded;  // the one that the journal knows as not whole: it may be there, or before
    std::string client_id;
    std::vector<Unit> gathered;
    std::size_t failed_units = 0;  // at the front of them: a step that failed, and is made again as it was
    std::uint64_t gathered_bytes = 0;
    std::uint64_t gathered_numbers = 0;
    Instant since{};  // of the first gathered
    std::uint32_t window_size = 1;
    Instant blocked_until{};  // behind a failure
    std::optional<Error> trouble;
  };
  struct Step;

  Session& gather(Instant now, const SessionEntry& entry, std::uint64_t bytes, std::uint64_t numbers);
  void take_frame(Session& session, std::uint64_t index, FrameType type, ByteView payload, const Position& after);
  void take_header(Session& session, std::uint64_t index, ByteView payload, const Position& after);
  void take_bytes(Session& session, FrameType type, ByteView payload, const Position& after);
  static Unit& extend(Session& session, Unit::Kind kind, const Position& after, std::size_t size = 0);
  void use_spare(Bytes& bytes);
  void keep_spares(std::vector<Unit>& units);
  std::uint64_t gathered_of(const std::string& client_id) const;
  bool is_shared(Instant now) const;
  std::uint64_t step_bytes(Instant now) const;
  bool is_due(Instant now, const Session& session) const;
  std::size_t units_of_step(const Session& session) const;
  void count_gathered(Session& session);
  void begin_step(std::uint64_t index);
  Job writing_job(Step& step) const;
  static Job hashing_job(Step& step);
  void submit(Job job, JobResult Step::*result);
  void on_jobs_done();
  std::unique_ptr<Step> end_step();
  void drop_step();
  void on_step_failed(const JobResult& result, const std::shared_ptr<IncomingFile>& file);
  void put_back(Duration wait);
  void close_left_open(const std::shared_ptr<IncomingFile>& file, File& handle);
  void finish_step();
  void hand_over(std::uint64_t session, Ready ready, Unit& last);
  void hand_over_refused(std::uint64_t session, Ready ready, const Unit& last);

  Disk& disk_;
  FileIntakeOptions options_;
  Log& log_;
  Owner& owner_;
  std::map<std::uint64_t, Session> sessions_;
  std::deque<std::uint64_t> waiting_;  // sessions with something gathered, in the order it came
  std::uint64_t gathered_bytes_ = 0;
  std::uint64_t step_held_bytes_ = 0;  // of the step under way
  std::vector<Bytes> spares_;          // buffers of earlier steps: memory that is warm
  std::unique_ptr<Step> step_;
  std::uint64_t steps_done_ = 0;
  std::optional<Instant> messages_at_;
  Instant begun_{};              // the newest step
  bool has_step_ended_ = false;  // since the last turn of the loop
  Instant rest_until_{};         // no step begins before
  std::uint64_t keep_free_ = 0;
  Instant now_{};
  std::deque<std::pair<std::uint64_t, std::string>> doomed_;  // parts, and the batch from which on they are not needed
  bool is_settling_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace cproto
