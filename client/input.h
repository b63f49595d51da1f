// Bytes from a file descriptor, in large steps. Regular files are read at once; pipes, terminals and sockets when they
// have something, so that the loop is never blocked. The descriptor's own flags are not touched: it may be shared with
// others. There is one file: it has no boundaries.
#pragma once

#include <functional>
#include <string>

#include "client/loop.h"
#include "client/machine.h"
#include "client/read_buffer.h"

namespace cproto::client {

class Input final : public Stream {
 public:
  // `wake` may be called from the loop after fill() has said wait; never from within fill().
  Input(uv_loop_t* loop, std::function<void()> wake) : loop_(loop), wake_(std::move(wake)) {}
  ~Input() override { close(); }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  int open(const std::string& path) override;
  void close() override;
  bool is_open() const override { return fd_ >= 0; }

  Got fill() override;
  int error() const override { return error_; }
  ByteView data() const override { return buffer_.data(); }
  void consume(std::size_t bytes) override { buffer_.consume(bytes); }
  bool is_stream() const override { return !is_regular_; }
  bool has_writer() const override { return has_writer_; }

 private:
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
  ReadBuffer buffer_;
};

}  // namespace cproto::client
