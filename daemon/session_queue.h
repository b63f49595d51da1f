// What was received of one session and is not in a stream yet, and how it is packed into one message of the stream
// (STREAM.md §2): as many messages of the session as there are and fit, one behind the other.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "proto/error.h"
#include "proto/message.h"
#include "proto/receiver.h"
#include "proto/server_session.h"

namespace cproto {

// Messages, or parts of them, of one kind and channel.
struct Pack {
  Bytes payload;
  std::vector<std::size_t> sizes;  // of the pieces in it: each is a message, but for
  bool is_rest = false;            // the first, which goes on with the last piece of the pack before, and
  bool has_more = false;           // the last, whose message goes on with the next pack
  MessageKind kind = MessageKind::text;
  std::string channel;            // empty: the session's
  Position after;                 // where the session stands behind it
  std::vector<Refusal> refusals;  // decided by what is in it
  std::size_t taken = 0;          // bytes of the queue it took
};

struct PackLimits {
  std::size_t bytes = 0;   // of payload; a single frame may be more
  std::size_t pieces = 1;  // at least 1
};

class SessionQueue {
 public:
  // `position` is that of the last pack, and `channel` the one of the message that is unfinished there.
  SessionQueue(const Position& position, MessageKind default_kind, std::string channel = {})
      : position_(position), default_kind_(default_kind), channel_(std::move(channel)) {}

  void push(const server_event::Received& run);
  void push(const server_event::Skipped& skipped);
  bool is_empty() const { return runs_.empty(); }
  // Bytes it holds.
  std::size_t size() const { return size_; }
  // Of the message that is unfinished behind the last pack; empty: the session's.
  const std::string& channel() const { return channel_; }

  // Takes what is at the front. It may have no pieces: numbers that count and carry nothing. Pre: not empty.
  Pack pack(const PackLimits& limits);

 private:
  struct Frames {
    Bytes bytes;
    std::size_t taken = 0;
  };
  using Run = std::variant<Frames, server_event::Skipped>;

  bool take_frame(Pack& pack, const PackLimits& limits, const FrameHeader& header, ByteView payload);
  void take_skipped(Pack& pack, const server_event::Skipped& skipped);
  static void drop_open(Pack& pack);

  Position position_;
  MessageKind default_kind_;
  std::string channel_;
  std::deque<Run> runs_;
  std::size_t size_ = 0;
};

}  // namespace cproto
