// What makes a message (PROTOCOL §4.3): [HEADER] FRAGMENT* DATA, or a HEADER that abandons what was begun. The same
// rules serve the receiver, the replay of a journal and delivery.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "proto/bytes.h"
#include "proto/digest.h"
#include "proto/error.h"
#include "proto/frame.h"
#include "proto/options.h"
#include "proto/seq.h"

namespace cproto {

// PROTOCOL §4.7. What is said of a file before its bytes.
struct FileDescription {
  struct Time {
    std::int64_t seconds = 0;  // since 1970, UTC
    std::uint32_t nanoseconds = 0;
    bool operator==(const Time&) const = default;
  };
  std::string name;                   // as it came: it may not be valid
  std::optional<std::uint64_t> size;  // bytes; nullopt: not known before its end
  std::optional<std::uint32_t> mode;  // permission bits
  std::optional<Time> mtime;
  bool operator==(const FileDescription&) const = default;
};

// PROTOCOL §4.4. The payload of a HEADER: what the message that follows is. kind none abandons the one begun; kind file
// with a digest, inside a file, says what its bytes must come to.
struct MessageHeader {
  MessageKind kind = MessageKind::none;
  std::string channel;     // empty: the session's
  FileDescription file{};  // of kind file
  std::optional<Digest> digest{};
};
void encode_message_header(const MessageHeader& header, Bytes& out);
std::variant<MessageHeader, Error> decode_message_header(ByteView payload);

// How far the message under way has come. Part of what a session keeps across connections and restarts.
struct MessageState {
  bool is_begun = false;
  bool is_refused = false;  // its remaining frames are taken and thrown away
  MessageKind kind = MessageKind::none;
  Seq first;                // number of its first frame
  std::uint64_t bytes = 0;  // payload of its FRAGMENTs so far
};

// What one more frame does to the message under way.
enum class MessageStep : std::uint8_t {
  goes_on,    // begun or continued
  ends,       // whole
  abandoned,  // given up by its sender
  breaks,     // an order that makes no message
};

// Moves `state` by one frame. A frame without a HEADER before it begins a message of `default_kind`.
// `kind` is the HEADER's, for a HEADER; otherwise it is not looked at.
MessageStep advance(MessageState& state, FrameType type, Seq seq, std::size_t payload_size, MessageKind default_kind,
                    MessageKind kind);

}  // namespace cproto
