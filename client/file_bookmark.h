// Where the sending of files stands, as a bookmark says it.
#pragma once

#include <cstdint>
#include <optional>

#include "client/files.h"
#include "proto/bytes.h"
#include "proto/digest.h"

namespace cproto::client {

// Tells whether a file is still what it was. A new content with the old size and time goes unnoticed here; the digest
// speaks then.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t mtime_seconds = 0;
  std::uint32_t mtime_nanoseconds = 0;
  bool operator==(const FileIdentity&) const = default;

  static FileIdentity of(const FileFacts& file) {
    return {file.device, file.inode, file.size, file.modified.seconds, file.modified.nanoseconds};
  }
};

struct FileBookmark {
  std::uint32_t index = 0;   // of the file in the command
  FileIdentity identity;     // zeros where it was not opened yet
  std::uint64_t pieces = 0;  // whole ones that were sent
  Digest chain{};            // of those
};

Bytes encode(const FileBookmark& place);
std::optional<FileBookmark> decode_file_bookmark(ByteView bytes);

}  // namespace cproto::client
