// What the disk has for certain of the journal, read block by block as it is synced: the oracle for "no acknowledgement
// leaves before the sync that covers it". It knows the bytes of STORE.md and nothing of who wrote them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "daemon/batch.h"
#include "proto/handshake.h"
#include "tests/support/memory_disk.h"

namespace cproto::sim {

class DurableJournal {
 public:
  // `fail` hears what can't be: a batch whose predecessor is not durable, numbers that are missing, a file's bytes that
  // are not there.
  DurableJournal(const test::MemoryDisk& disk, std::string store, std::function<void(const std::string&)> fail)
      : disk_(disk), store_(std::move(store)), fail_(std::move(fail)) {}

  // These bytes of this file were synced.
  void on_synced(const std::string& path, std::uint64_t begin, std::uint64_t end);
  // The highest number of the session up to which everything is on the disk.
  Seq through(const SessionId& id) const;

 private:
  struct Session {
    SessionId id{};
    Seq through;
  };
  void take_batch(const BatchHeader& header, ByteView bytes);
  void take(const Record& record);
  void move(Session& session, Seq first, Seq through);
  void check_part(const Session& session, const Record& record);

  const test::MemoryDisk& disk_;
  std::string store_;
  std::function<void(const std::string&)> fail_;
  std::unordered_set<std::uint64_t> batches_;
  std::unordered_map<std::uint64_t, Session> sessions_;  // by index
  std::map<SessionId, std::uint64_t> index_of_;
};

}  // namespace cproto::sim
