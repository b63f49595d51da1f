// One log of the inbox, `<client>/<channel>.log` or `.bin`: what is to be written to it, and which file it is at the
// moment. The file belongs to its owner, who may rename or remove it at any time.
//
//            open, link           log record durable         renamed, removed        checkpoint      checkpoint durable
//   closed ----------> registering ----------------> ready -----------------> left --------------> closing ---> (gone)
//                                                      |                                              ^
//                                                      +---------------------- idle ------------------+
//
// One that is left makes room for another of its name at once: what was not written to it yet goes to that one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "daemon/assembly.h"
#include "daemon/disk.h"
#include "proto/time.h"

namespace cproto {

// Bytes to be appended, in order: those of a part file first.
struct LogChunk {
  std::shared_ptr<Part> part;
  Bytes bytes;
};

struct InboxLog {
  enum class State : std::uint8_t { closed, registering, ready, left, closing };

  std::string client_id;
  std::string name;  // "<channel>.log"
  std::string path;
  State state = State::closed;
  std::uint64_t id = 0;  // of its registration
  std::string link;      // its second name, in the store
  File file;  // where descriptors are short it may be closed while the log is ready or left: the link leads to it
  FileStatus identity;              // of the open file
  std::uint64_t length = 0;         // what was delivered to it ends here
  std::uint64_t from = 0;           // the first batch whose messages are for this file, not for one before it
  std::uint64_t through = 0;        // what batches up to here had for it is written
  std::unique_ptr<InboxLog> next;   // recovering: the file that has the name from a later batch on
  std::uint8_t moves = 0;           // so often in a row it was renamed or removed before it had its second name
  std::uint64_t registered_in = 0;  // the batch with its log record
  // What goes to it may be there already, but perhaps not on disk: it is written to where it is, not appended.
  bool is_rewriting = false;
  bool is_dirty = false;  // written since the last checkpoint
  Instant last_written{};
  bool is_queued = false;   // in the round
  Instant blocked_until{};  // after a failure
  std::string trouble;      // why it is blocked, for people; empty: it is not
  std::vector<LogChunk> pending;
  // Of what is pending, the first bytes, set aside in the store while the log cannot be written: the part of the first
  // chunk.
  std::shared_ptr<Part> aside;
  std::uint64_t aside_id = 0;

  // All that is pending is set aside.
  bool is_set_aside() const { return aside && pending.size() == 1 && pending.front().bytes.empty(); }
  std::uint64_t pending_bytes() const {
    std::uint64_t sum = 0;
    for (const LogChunk& chunk : pending) sum += (chunk.part ? chunk.part->written : 0) + chunk.bytes.size();
    return sum;
  }

  // So many more are about to come. They go to the memory of `spare`, if nothing waits and it is larger.
  void reserve(std::size_t bytes, Bytes& spare) {
    Bytes& out = tail();
    if (out.empty() && out.capacity() < spare.capacity()) out.swap(spare);
    if (out.capacity() - out.size() < bytes) out.reserve(std::max(out.size() + bytes, out.capacity() * 2));
  }

  // Where the next bytes go.
  Bytes& tail() {
    if (pending.empty()) pending.emplace_back();
    return pending.back().bytes;
  }
};

}  // namespace cproto
