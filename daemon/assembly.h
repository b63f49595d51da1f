// A message that is not whole yet: what has come of it, in memory or, when it is large, in a part file. PROTOCOL §4.3.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "daemon/disk.h"
#include "daemon/records.h"
#include "proto/bytes.h"
#include "proto/checksum.h"
#include "proto/options.h"
#include "proto/seq.h"

namespace cproto {

// The file a large message is gathered in. It goes when a checkpoint no longer needs it.
struct Part {
  std::string path;
  File file;
  std::uint64_t written = 0;  // bytes
  bool is_dirty = false;      // written since the last sync
};

struct Assembly {
  Seq first;
  Seq through;
  MessageKind kind = MessageKind::text;
  std::string channel;
  std::uint32_t checksum = 0;  // CRC-32 of all bytes so far
  Bytes bytes;                 // behind those in the part
  std::shared_ptr<Part> part;

  std::uint64_t size() const { return (part ? part->written : 0) + bytes.size(); }
  void add(Seq number, ByteView payload) {
    through = number;
    checksum = crc32(checksum, payload);
    append(bytes, payload);
  }
  // As a record; its bytes are a view of this assembly's.
  PiecesRecord to_record() const { return {first, through, kind, channel, checksum, part ? part->written : 0, bytes}; }
};

}  // namespace cproto
