// Files with keys in them, as both programs read them.
#pragma once

#include <string>

namespace cproto {

// Reads the whole file into `text` and leaves no copy of it elsewhere in memory; wiping `text` is the caller's. Returns
// 0 or errno: EFBIG above 4 MiB, which is ten thousand keys, or something else that was named by mistake.
[[nodiscard]] int read_secret_file(const std::string& path, std::string& text);

// What somebody ought to see to if everybody on this machine can read the file. Empty: nobody else can, or there is
// none.
std::string warning_of_secret(const std::string& path);

}  // namespace cproto
