// Where the reading of a log stands, so that it can go on there after a restart. What is known of a file is enough to
// find it again under another name, and to see that the file of that name is another one.
#pragma once

#include <cstdint>
#include <optional>

#include "client/fingerprint.h"
#include "proto/bytes.h"

namespace cproto::client {

struct FilePlace {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;  // 0: no file yet
  Fingerprint fingerprint;
  std::uint64_t offset = 0;      // the next byte to be read
  std::uint64_t size_seen = 0;   // the file had so many bytes when it was last looked at
  std::int64_t modified_ns = 0;  // its time of modification then, since 1970; without a file, when waiting for it began

  bool operator==(const FilePlace&) const = default;
};

// The file being read and, beside it, at most one other. While the file being read is the same, only its offset moves;
// of the rest more becomes known.
struct LogPlace : FilePlace {
  // The file before, and where it was left: a writer that has not heard of the rotation may still write to it.
  std::optional<FilePlace> previous;
  // There is such a late piece, and it is being read: where reading goes on after it.
  std::optional<FilePlace> next;

  bool operator==(const LogPlace&) const = default;
};

// For a file of state. Reading fails as ByteReader does.
void put_place(ByteWriter& out, const LogPlace& place);
LogPlace get_place(ByteReader& in);

}  // namespace cproto::client
