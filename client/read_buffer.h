// Bytes that were read and not consumed, with room behind them for the next read.
#pragma once

#include <cstring>
#include <span>

#include "proto/bytes.h"

namespace cproto::client {

// One read: enough that its price does not show, little enough not to hold up the loop.
inline constexpr std::size_t kReadSize = 256 * 1024;

class ReadBuffer {
 public:
  // Until the next room().
  ByteView data() const { return ByteView(bytes_).subspan(head_, tail_ - head_); }
  void consume(std::size_t bytes) { head_ += bytes; }
  void clear() { head_ = tail_ = 0; }

  // Where kReadSize bytes may be read to; then add() what came.
  std::span<std::uint8_t> room() {
    if (bytes_.size() - tail_ < kReadSize) make_room();
    return std::span(bytes_).subspan(tail_, kReadSize);
  }
  void add(std::size_t bytes) { tail_ += bytes; }

 private:
  void make_room() {
    if (tail_ > head_) std::memmove(bytes_.data(), bytes_.data() + head_, tail_ - head_);
    tail_ -= head_;
    head_ = 0;
    if (bytes_.size() - tail_ < kReadSize) bytes_.resize(2 * tail_ + kReadSize + 64 * 1024);
  }

  Bytes bytes_;
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
};

}  // namespace cproto::client
