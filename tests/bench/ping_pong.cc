#include "tests/bench/ping_pong.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <thread>

#include "proto/bytes.h"
#include "tests/bench/clock.h"
#include "tests/bench/socket.h"

namespace cproto::bench {

namespace {

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
  const Socket listener = listen_on_loopback(1);
  if (!listener.is_open()) return failed("listen");
  PingPong result;
  std::thread partner;
  {
    // The kernel completes the connection; accept() finds it waiting.
    const Socket socket = connect_to(address_of(listener));
    if (!socket.is_open()) return failed("connect");
    partner = std::thread(echo, listener.fd(), frame_size);
    result = play(socket, frame_size, count);
  }
  partner.join();
  return result;
}

}  // namespace cproto::bench
