// A journal, and the inbox beside it, as a fuzzer's input says: batches of records with the checksums they need, their
// contents the fuzzer's, and then what a medium may do to them.
#pragma once

#include <map>
#include <set>
#include <string>

#include "proto/bytes.h"
#include "tests/support/journal_bytes.h"
#include "tests/support/store_end.h"

namespace cproto::fuzz {

class JournalScript {
 public:
  // Puts the store into `disk`. Any bytes are a script. `can_damage`: also spoils what was written.
  JournalScript(test::MemoryDisk& disk, bool can_damage) : disk_(disk), can_damage_(can_damage) {}
  void play(ByteView script);

  static constexpr std::uint64_t kSegmentSize = 12 * kBlockSize;

 private:
  enum Op : std::uint8_t {
    kSession,
    kFrame,
    kWrite,
    kForget,
    kSkipped,
    kPieces,
    kFile,
    kLog,
    kCheckpoint,
    kInboxFile,
    kSegment,
    kUnsynced,
    kTail,
    kDamage,
    kOps
  };
  void step(ByteReader& script);
  void add(RecordType type, std::uint64_t session, Seq first, std::uint32_t count, const Bytes& body);
  void add_session(ByteReader& script);
  void add_frame(ByteReader& script);
  void add_pieces(ByteReader& script);
  void add_file(ByteReader& script);
  void add_part(std::uint64_t session, Seq first);
  void add_log(ByteReader& script);
  void add_checkpoint(ByteReader& script);
  void damage(ByteReader& script);
  bool has_room(std::size_t size) const;
  void end_batch(bool is_synced);
  void begin_segment(std::uint32_t index);
  void raise_tail(std::uint64_t number);

  test::MemoryDisk& disk_;
  bool can_damage_;
  test::JournalBytes journal_{kSegmentSize / kBlockSize};
  std::size_t gathered_ = 0;                        // bytes of records in the batch being built
  std::map<std::uint32_t, std::uint64_t> last_in_;  // number of the last batch of a segment
  Seq last_[4] = {};                                // number last used, by session
  std::set<std::uint64_t> ended_;
};

// What was taken up from the store at `end`: sessions with their marks, and what the inbox holds.
struct TakenUp {
  explicit TakenUp(const test::StoreEnd& end);
  std::map<std::uint64_t, std::uint64_t> sessions;  // that are not finished: durable through
  std::map<std::string, Bytes> files;               // of the inbox, by path
};

// Opens the store at `end` and delivers, twice. What the first time found the second time finds, too, and nothing else.
void open_twice(test::StoreEnd& end);

}  // namespace cproto::fuzz
