#include "client/files.h"

#include <cerrno>

namespace cproto::client {

namespace {

// EACCES: its name may be written but not read; it is as durable as the system makes it by itself. The others: nothing
// in it can change, or there is no disk below it, as with what is mounted on demand.
bool is_beyond_us(int error) { return error == EACCES || error == EINVAL || error == EROFS; }

// One that is there is synced, too: the run that made it may have died before.
int make_lasting(Files& files, const std::string& path, unsigned mode) {
  const int error = files.make_directory(path, mode);
  if (error != 0 && error != EEXIST) return error;
  const int refusal = files.sync_directory(directory_of(path));
  return is_beyond_us(refusal) ? 0 : refusal;
}

}  // namespace

int make_directories(Files& files, const std::string& path) {
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
    if (const int error = make_lasting(files, path.substr(0, slash), 0755)) return error;
  return make_lasting(files, path, 0700);
}

}  // namespace cproto::client
