// A socket (or another descriptor) that is closed with its owner, and the ways to a TCP one.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>

namespace cproto::bench {

class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket();
  Socket(Socket&& other) noexcept;
  Socket& operator=(Socket&& other) noexcept;

  int fd() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  void set_no_delay() const;
  void set_non_blocking() const;

 private:
  int fd_ = -1;
};

// On a free port of the loopback interface. Not open, with errno set, if that fails; so with the other.
Socket listen_on_loopback(int backlog);
// Blocks until the connection is there.
Socket connect_to(const sockaddr_storage& address);

// What a listening socket is reached by.
sockaddr_storage address_of(const Socket& listener);

}  // namespace cproto::bench
