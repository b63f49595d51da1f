// One daemon a store: a lock that goes with the process, whatever ends it.
#pragma once

#include <string>

namespace cproto {

class StoreLock {
 public:
  ~StoreLock();
  StoreLock() = default;
  StoreLock(const StoreLock&) = delete;
  StoreLock& operator=(const StoreLock&) = delete;

  // Makes the directory if need be and locks it. Returns 0, EWOULDBLOCK if another process has it (holder() is its pid,
  // if it says), or another errno.
  int acquire(const std::string& directory);
  // Looks whether another process has it, and makes nothing: 0, EWOULDBLOCK, or another errno.
  int look(const std::string& directory);
  const std::string& holder() const { return holder_; }

 private:
  int lock();

  int fd_ = -1;
  std::string holder_;
};

}  // namespace cproto
