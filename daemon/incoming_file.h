// One file that is being received (PROTOCOL §4.7, STORE.md §7): what was announced of it, and how much of it is where.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "daemon/disk.h"
#include "daemon/records.h"
#include "proto/digest.h"
#include "proto/error.h"
#include "proto/message.h"
#include "proto/seq.h"

namespace cproto {

struct IncomingFile {
  Seq first;             // number of its HEADER
  MessageHeader header;  // with the digest once that came
  std::string part;      // path
  File reading;          // open for the length of a job
  File writing;
  FileDigest digest;              // of the bytes that went through the pool
  std::uint64_t taken = 0;        // bytes that came
  std::uint64_t written = 0;      // of them in the part, synced and recorded
  Digest chain{};                 // of the whole pieces among those
  std::uint64_t recorded_in = 0;  // the batch with its last record; 0: none yet
  bool is_made = false;           // the part is there
  bool is_seen = true;            // what is written of it was looked at since a restart
  Bytes piece;                    // restored: what is there of the piece under way, to go through the digest again
  ErrorCode refused = ErrorCode::none;  // what comes of it is thrown away
  bool is_refusal_told = false;

  // Of a file that goes on after a restart.
  static IncomingFile restored(const FileRecord& record, std::string part, std::uint64_t batch) {
    IncomingFile file;
    file.first = record.first;
    file.header = record.header;
    file.part = std::move(part);
    file.digest = FileDigest(record.bytes / kPieceSize, record.chain);
    file.taken = file.written = record.bytes;
    file.chain = record.chain;
    file.recorded_in = batch;
    file.is_made = true;
    file.is_seen = file.written == 0;
    return file;
  }

  // More came than was announced.
  bool is_too_long() const { return header.file.size && taken > *header.file.size; }
  // All of it is in the part and in the digest, and both are as announced.
  bool agrees() const {
    const bool has_size = !header.file.size || *header.file.size == digest.size();
    return has_size && header.digest && *header.digest == digest.value();
  }
  FileRecord to_record(FileRecord::State state, const Position& after) const {
    return {first, state, after, written, chain, header};
  }
};

}  // namespace cproto
