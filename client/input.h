// Bytes from a file descriptor, in large steps. Regular files are read at once; pipes, terminals and sockets when they
// have something, so that the loop is never blocked. The descriptor's own flags are not touched: it may be shared with
// others.
//
// Happy path: open, fill() -> some, data(), consume()…, fill() -> end.
// Otherwise: fill() -> wait, and `wake` is called once there is something; fill() -> failed, error() says why.
#pragma once

#include <functional>
#include <string>

#include "client/loop.h"
#include "proto/bytes.h"

namespace cproto::client {

// One read: enough that its price does not show, little enough not to hold up the loop.
inline constexpr std::size_t kReadSize = 256 * 1024;

class Input {
 public:
  // `wake` may be called from the loop after fill() has said wait; never from within fill().
  Input(uv_loop_t* loop, std::function<void()> wake) : loop_(loop), wake_(std::move(wake)) {}
  ~Input() { close(); }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  // "-" is standard input. Returns 0 or errno.
  [[nodiscard]] int open(const std::string& path);
  void close();
  bool is_open() const { return fd_ >= 0; }
  // What is read from here is gone for good: no regular file.
  bool is_stream() const { return !is_regular_; }
  // Somebody may be held writing to the other end.
  bool has_writer() const { return has_writer_; }

  enum class Got { some, wait, end, failed };
  // Reads once, behind what is there.
  Got fill();
  int error() const { return error_; }

  // What was read and not consumed. Lives until the next fill().
  ByteView data() const { return ByteView(buffer_).subspan(head_, tail_ - head_); }
  void consume(std::size_t bytes) { head_ += bytes; }

 private:
  void make_room();
  bool watch();
  static void on_readable(uv_poll_t* poll, int status, int events);

  uv_loop_t* loop_;
  std::function<void()> wake_;
  int fd_ = -1;
  int watch_fd_ = -1;  // an epoll that watches fd_
  bool is_regular_ = false;
  bool has_writer_ = false;
  bool must_watch_ = false;  // a read could block unless poll_ has spoken
  bool is_readable_ = false;
  bool is_at_end_ = false;
  int error_ = 0;
  Handle<uv_poll_t> poll_;
  Bytes buffer_;
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
};

}  // namespace cproto::client
