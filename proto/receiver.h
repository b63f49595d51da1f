// The server's half of the data (PROTOCOL §4, §5): puts numbered frames in order, drops duplicates, and refuses what is
// too large. Knows numbers and messages; not acknowledgements (session) and not the disk (above).
//
// Happy path: every frame is the next one -> `accepted`, nothing is kept.
// Otherwise: seen before -> `duplicate`; ahead of its turn -> `kept` (datagram) or `dropped` (stream, where only a
// damaged frame makes a gap and the sender goes back to it); too large a message -> `skipped` to its end; no message ->
// `broken`.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/control.h"
#include "proto/frame.h"
#include "proto/handshake.h"
#include "proto/message.h"
#include "proto/options.h"

namespace cproto {

// How far a session has come. Belongs to the session, not to the connection (PROTOCOL §3.6).
struct Position {
  Seq through;                 // the highest number up to which everything was received
  std::uint64_t bytes = 0;     // payload bytes of the numbers up to there
  std::uint64_t messages = 0;  // messages ended up to there: taken, refused or abandoned
  MessageState message;        // the one under way
};

// Moves `position` by the next frame of its session, which was taken: as receiving it did.
MessageStep advance(Position& position, const FrameHeader& header, ByteView payload, MessageKind default_kind);

struct ReceiverOptions {
  Transport transport = Transport::stream;
  std::uint32_t window_size = kWindowMax;
  std::uint32_t max_packet_size = 64 * 1024;
  std::uint64_t reorder_bytes_max = 4u << 20;  // kept out of order at the most
  std::uint64_t message_size_max = 0;          // 0: none
  std::uint64_t file_size_max = 0;             // 0: none
  MessageKind default_kind = MessageKind::text;
  // Asked of a message that a HEADER begins: why its client may not send it. Empty: it may send any.
  std::function<std::optional<Error>(const MessageHeader& header)> objection = {};
};

class Receiver {
 public:
  enum class Verdict : std::uint8_t { accepted, skipped, duplicate, kept, dropped, broken };
  struct Outcome {
    Verdict verdict{};
    Seq number;                 // of this frame; 0 where it could not be told
    bool ends_message = false;  // of accepted and skipped
    bool is_file = false;       // of accepted: part of a message of kind file
    Refusal refusal{};          // of skipped: set on the frame by which a message is refused
    Error error{};              // of broken
  };

  Receiver(const ReceiverOptions& options, const Position& position) : options_(options), position_(position) {}

  // Pre: is_numbered(frame.type).
  Outcome on_frame(const Frame& frame);

  // A frame kept earlier whose turn has come, encoded as it came; empty if there is none. Give it to on_frame().
  Bytes take_kept();

  const Position& position() const { return position_; }
  Seq expected() const { return position_.through.next(); }
  // Kept out of order, at most reorder_bytes_max.
  std::uint64_t kept_bytes() const { return kept_ ? kept_->bytes : 0; }
  // What was received out of order, for an ACK: at most kAckRangesMax, lowest first.
  std::vector<SeqRange> ranges() const;

 private:
  // Frames ahead of their turn, by number.
  struct Kept {
    std::map<std::uint64_t, Bytes> frames;
    std::uint64_t bytes = 0;
  };

  Outcome take_next(const Frame& frame);
  Outcome broken(Error error) const;
  std::optional<ErrorCode> judge_start(const MessageHeader& header) const;
  bool is_too_large(const MessageState& before, const Frame& frame, MessageKind kind) const;
  Outcome refuse(Outcome outcome, ErrorCode code, Seq message_first);
  Outcome keep(const Frame& frame, Seq number);
  void count(const Frame& frame, bool ends_message);

  ReceiverOptions options_;
  Position position_;
  std::unique_ptr<Kept> kept_;  // nothing, on a stream
};

}  // namespace cproto
