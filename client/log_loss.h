// What of a log could not be read any more, and how much that was.
#pragma once

#include <string>

#include "client/log_family.h"

namespace cproto::client {

struct LostBytes {
  enum class Amount { exact, at_least, unknown };

  std::string what;  // "/var/log/app.log.2.gz was compressed before it was read"
  std::uint64_t bytes = 0;
  Amount amount = Amount::unknown;
};

// Nothing was read of what `archive` holds.
LostBytes lost_archive(Files& files, const Relative& archive);

// The compressed file that holds what was read up to `place`, as far as one can see: the oldest that is not older.
const Relative* find_archive(const Family& family, const FilePlace& place);
// What of it was not read; nullopt if it was read to its end.
std::optional<LostBytes> lost_rest(Files& files, const Relative& archive, const FilePlace& place);

// The oldest are removed first: if all that was rotated is newer than `file`, which is gone, more may be gone than
// that.
bool begins_after(const Family& family, const Relative& file);
LostBytes lost_between(const std::string& path);

// The file is nowhere.
LostBytes lost_file(const std::string& path, const FilePlace& place);

// At least so many bytes; of 0, nothing is known.
LostBytes at_least(std::string what, std::uint64_t bytes);

}  // namespace cproto::client
