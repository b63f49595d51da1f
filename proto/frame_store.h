// Encoded frames, one behind the other, from the oldest that may have to go out again to the newest. They lie in
// chunks: none is split or moved, and a chunk whose frames are all forgotten takes the next ones, so that traffic at a
// steady pace asks for no memory.
//
// A place is the count of bytes ever encoded in the session before it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "proto/bytes.h"

namespace cproto {

class FrameStore {
 public:
  // Kept is what lies between them.
  std::uint64_t begin() const { return begin_; }
  std::uint64_t end() const { return end_; }
  std::uint64_t size() const { return end_ - begin_; }
  // Pre: nothing is kept.
  void start_at(std::uint64_t place);

  // Room for a frame of so many bytes, behind all others: to be written at once.
  std::uint8_t* add(std::size_t bytes) {
    if (room_ < bytes) open_chunk(bytes);
    std::uint8_t* frame = next_;
    next_ += bytes;
    room_ -= bytes;
    end_ += bytes;
    return frame;
  }
  // The frame there. Lives until it is forgotten.
  ByteView frame(std::uint64_t place, std::size_t bytes) const;
  // Appends the frames from `from` to `to`.
  void copy(std::uint64_t from, std::uint64_t to, Bytes& out) const;
  // Of frames before `place`.
  void forget_before(std::uint64_t place);

 private:
  struct Chunk {
    std::uint64_t begin = 0;  // place of its first frame
    std::size_t capacity = 0;
    std::unique_ptr<std::uint8_t[]> bytes;
  };

  void open_chunk(std::size_t bytes);
  // Index of the chunk in which the frame at `place` is. Pre: it is kept.
  std::size_t chunk_of(std::uint64_t place) const;
  std::uint64_t end_of(std::size_t index) const;

  std::vector<Chunk> chunks_;  // those in use; the last takes what comes
  std::vector<Chunk> spare_;
  std::uint8_t* next_ = nullptr;  // in the last chunk
  std::size_t room_ = 0;
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
};

}  // namespace cproto
