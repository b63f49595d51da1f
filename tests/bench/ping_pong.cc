#include "tests/bench/ping_pong.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <thread>

#include "proto/bytes.h"
#include "tests/bench/clock.h"

namespace cproto::bench {

namespace {

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  void set_no_delay() const {
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }

 private:
  int fd_;
};

bool write_whole(const Socket& socket, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(socket.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

bool read_whole(const Socket& socket, std::span<std::uint8_t> into) {
  while (!into.empty()) {
    const ssize_t count = ::read(socket.fd(), into.data(), into.size());
    if (count <= 0) return false;
    into = into.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

// Ends when the other side closes.
void echo(int listener, std::size_t frame_size) {
  const Socket socket(::accept(listener, nullptr, nullptr));
  if (!socket.is_open()) return;
  socket.set_no_delay();
  Bytes frame(frame_size);
  while (read_whole(socket, frame) && write_whole(socket, frame)) {
  }
}

PingPong failed(const char* call) { return {{}, std::string("ping-pong: ") + call + ": " + std::strerror(errno)}; }

PingPong play(const Socket& socket, std::size_t frame_size, std::uint64_t count) {
  PingPong result;
  result.round_trips.reserve(count);
  Bytes frame(frame_size, 'x');
  for (std::uint64_t i = 0; i < count; ++i) {
    const Instant begin = now();
    if (!write_whole(socket, frame) || !read_whole(socket, frame)) return failed("send");
    result.round_trips.push_back(now() - begin);
  }
  return result;
}

}  // namespace

PingPong ping_pong(std::size_t frame_size, std::uint64_t count) {
  const Socket listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  if (!listener.is_open() || ::bind(listener.fd(), generic, size) != 0 || ::listen(listener.fd(), 1) != 0 ||
      ::getsockname(listener.fd(), generic, &size) != 0)
    return failed("listen");
  PingPong result;
  std::thread partner;
  {
    const Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    // The kernel completes the connection; accept() finds it waiting.
    if (!socket.is_open() || ::connect(socket.fd(), generic, size) != 0) return failed("connect");
    socket.set_no_delay();
    partner = std::thread(echo, listener.fd(), frame_size);
    result = play(socket, frame_size, count);
  }
  partner.join();
  return result;
}

}  // namespace cproto::bench
