#include "daemon/store_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace cproto {

StoreLock::~StoreLock() {
  if (fd_ >= 0) ::close(fd_);
}

int StoreLock::lock() {
  if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) return 0;
  const int error = errno;
  char pid[16];
  const ssize_t size = ::pread(fd_, pid, sizeof pid, 0);
  if (size > 0) holder_.assign(pid, static_cast<std::size_t>(size));
  while (!holder_.empty() && holder_.back() == '\n') holder_.pop_back();
  return error;
}

int StoreLock::look(const std::string& directory) {
  fd_ = ::open((directory + "/lock").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd_ < 0) return errno == ENOENT ? 0 : errno;
  return lock();
}

int StoreLock::acquire(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0700) < 0 && errno != EEXIST) return errno;
  fd_ = ::open((directory + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd_ < 0) return errno;
  if (const int error = lock()) return error;
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd_, 0) < 0 || ::pwrite(fd_, pid.data(), pid.size(), 0) < 0) return errno;
  return 0;
}

}  // namespace cproto
