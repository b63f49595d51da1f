// What clients send: bytes that say whose they are, and can be made again to compare.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "proto/bytes.h"
#include "proto/options.h"
#include "proto/seq.h"

namespace cproto::sim {

struct MessageId {
  unsigned client = 0;
  unsigned session = 0;  // of that client, in the order they began
  unsigned number = 0;   // of that session
  auto operator<=>(const MessageId&) const = default;
};
std::string to_text(const MessageId& id);
// What a file of this id is called: "c1.s2.m3".
inline std::string file_name_of(const MessageId& id) { return to_text(id); }

// At least as long as its beginning, which names it. Text has no LF.
Bytes content_of(const MessageId& id, MessageKind kind, std::size_t size);
// Who sent it, if these are the bytes.
std::optional<MessageId> identify(ByteView bytes, MessageKind kind);

}  // namespace cproto::sim
