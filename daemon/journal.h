// The journal (STORE.md §2, §3): what is appended is durable once its batch is. A chain of batches in preallocated
// segments; one job of write + fdatasync at a time, and the batch gathered meanwhile starts as soon as that returns.
//
// Happy path: append… -> flush -> (pool: write, sync) -> Owner::on_durable -> flush.
// Failure modes: no free segment yet -> the batch waits for one being made; a write or sync fails -> that segment is
// never written again, Owner::on_failed hears it, and the same records go to a segment newly made, if the disk proves
// itself by that.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "daemon/batch.h"
#include "daemon/disk.h"
#include "proto/time.h"

namespace cproto {

struct JournalOptions {
  std::string directory;  // "<store>/journal"
  StoreId store{};
  std::uint64_t secret = 0;  // STORE §1
  std::uint64_t segment_size = 64u << 20;
  std::uint64_t batch_bytes = 4u << 20;  // gathered at the most, but for one record
};

// Where a batch is, and its bytes while they are in memory.
struct BatchPlace {
  std::uint64_t number = 0;
  std::uint32_t segment = 0;
  std::uint32_t offset = 0;
  std::uint32_t size = 0;
  std::uint32_t used = 0;
  std::shared_ptr<const Bytes> bytes;  // empty: to be read
};

struct Segment {
  std::uint32_t index = 0;
  File file;
  std::uint64_t size = 0;         // bytes, first block included
  std::uint64_t first_batch = 0;  // 0: none yet
  bool has_failed = false;        // a write or sync failed: never written again
};

// What recovery found and opens the journal with.
struct JournalPosition {
  std::deque<std::unique_ptr<Segment>> in_use;  // oldest first
  std::vector<std::unique_ptr<Segment>> free;
  std::deque<BatchPlace> batches;  // of the segments in use, oldest first
  std::uint64_t next_number = 1;   // never used before, in whatever form
  std::uint64_t last_number = 0;   // the last batch known to be synced
  std::uint32_t last_checksum = 0;
  std::uint32_t next_segment = 1;
  std::uint64_t end = 0;  // of what is written in the newest segment; 0: a fresh one is to be begun
};

class Journal {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // Everything appended so far is in a batch that is on its way; what comes next belongs to another.
    virtual void on_batch_started() = 0;
    // Everything of the batch last started is on disk; its fdatasync took `sync_time`.
    virtual void on_durable(const BatchPlace& batch, Duration sync_time) = 0;
    // Nothing is acknowledged until a later on_durable. `error` is errno.
    virtual void on_failed(int error, std::uint32_t segment) = 0;
    // A segment is wanted back: append again what is live in the batches before this one, as far as room() goes. Called
    // again until it says that all of it is appended.
    virtual bool carry_forward(std::uint64_t before_batch) = 0;
  };

  Journal(Disk& disk, const JournalOptions& options, JournalPosition position, Owner& owner);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // --- appending: durable with the next batch ---
  void append(const Record& record);
  void set_batch_bytes(std::uint64_t bytes) { options_.batch_bytes = bytes; }
  // Bytes of records in memory: gathered, and on their way.
  std::uint64_t held_bytes() const { return gathered_->size() + (flying_ ? flying_->size() : 0) - kBatchHeaderSize; }
  // Bytes that may still be gathered before the disk takes a batch; 0: read no more for now.
  std::size_t room() const;
  // Whether a record of this size fits the batch being gathered, whatever room() says to readers.
  bool has_space(std::size_t size) const { return !is_gathering() || gathered_->size() + size <= batch_limit(); }
  bool is_gathering() const { return gathered_->size() > kBatchHeaderSize; }
  std::size_t gathered_bytes() const { return gathered_->size(); }
  // The number that what is appended now will have.
  std::uint64_t gathering_number() const { return gathering_number_; }

  // Hands what was gathered to the disk, if the disk is free. Call once a turn of the loop.
  void flush();
  // Writes an empty batch, so that recovery finds a successor of the last one that counts. No effect while anything is
  // under way.
  void seal();
  bool can_seal() const { return is_idle() && !is_sealed_ && !making_; }
  bool is_idle() const { return !job_is_running_ && !is_gathering() && !has_failed_; }
  // After on_failed: tries again with a new segment. No effect otherwise.
  void retry();
  bool has_failed() const { return has_failed_; }
  // A batch is on its way, or waits for a segment that is being made.
  bool waits_for_disk() const { return job_is_running_ || (awaits_segment_ && making_ != nullptr); }

  // --- releasing ---
  // Batches below `number` are not needed by delivery any more.
  void release_before(std::uint64_t number);
  // Batches from `number` on, oldest first: to be read again by delivery.
  const std::deque<BatchPlace>& batches() const { return batches_; }
  // The open file a batch is in. Pre: it has not been released.
  File& file_of(const BatchPlace& batch);
  // Reads the batch, and waits for it. False if it cannot be read; what is damaged is read, too.
  bool read(const BatchPlace& batch, Bytes& bytes);
  std::size_t segments_in_use() const { return in_use_.size(); }
  std::uint64_t last_durable() const { return last_number_; }
  // False, or gone, once the journal is.
  std::weak_ptr<bool> life() const { return alive_; }

 private:
  void begin_gathering();
  bool find_place(std::size_t size);
  void write_gathered();
  void submit_flying();
  void on_written(JobResult result);
  void merge_failed();
  void recycle();
  void retire_oldest();
  void prepare_segment(std::uint64_t size);
  void free_retired();
  void remove_segment(std::unique_ptr<Segment> segment);
  void on_segment_made(JobResult result);
  std::uint64_t tail() const;
  std::size_t backlog_segments() const;
  std::uint64_t batch_limit() const;

  Disk& disk_;
  JournalOptions options_;
  Owner& owner_;
  std::deque<std::unique_ptr<Segment>> in_use_;  // oldest first; the last is being written
  std::vector<std::unique_ptr<Segment>> free_;
  std::vector<std::unique_ptr<Segment>> retired_;  // free once a batch with a tail behind them is durable
  std::unique_ptr<Segment> making_;                // being filled with zeros
  Bytes making_block_;
  std::deque<BatchPlace> batches_;
  std::uint64_t next_number_;
  std::uint64_t last_number_;
  std::uint32_t last_checksum_;
  std::uint32_t next_segment_;
  std::uint64_t end_ = 0;        // of what is written in the newest segment
  bool needs_segment_ = true;    // the next batch begins a fresh one
  bool awaits_segment_ = false;  // a batch waits for the one being made
  bool needs_made_one_ = false;  // and that must be newly made: the disk has to prove itself
  bool job_is_running_ = false;
  bool has_failed_ = false;
  bool is_sealed_ = false;
  std::shared_ptr<Bytes> gathered_;
  std::uint64_t gathering_number_ = 0;
  std::shared_ptr<Bytes> flying_;
  BatchHeader flying_header_;
  std::vector<std::shared_ptr<Bytes>> spare_;
  std::uint64_t released_before_ = 0;
  std::uint64_t carried_in_ = 0;  // the batch with the last of the oldest segment's live records; 0: not appended yet
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// STORE §5. Reads a batch, and again where it is not intact: a bad bit may be the way's, and not the medium's. A
// damaged one is as it was read last.
enum class BatchRead : std::uint8_t { failed, damaged, intact };
BatchRead read_batch(Disk& disk, File& file, std::uint64_t offset, std::span<std::uint8_t> into,
                     const std::function<bool(ByteView)>& is_intact);
// What is read next comes from the disk, as far as it is there.
Job reading_job(File& file, std::uint64_t offset, std::span<std::uint8_t> into, bool is_again);
// What is given up was acknowledged, and of a bad memory many reads in a row may be wrong.
inline constexpr unsigned kReadTries = 10;

// STORE §2. The name of a segment, and its first block.
std::string segment_path(const std::string& directory, std::uint32_t index);
Bytes segment_block(const StoreId& store, const Segment& segment);
// Makes a segment: zeros really written behind the first block, synced with its directory. `first_block` must stay.
Job segment_job(const std::string& directory, Segment& segment, ByteView first_block);

}  // namespace cproto
