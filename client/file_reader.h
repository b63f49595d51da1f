// A regular file from some byte to its end: read ahead and put through its digest beside the loop, so that neither a
// slow disk nor the hashing holds up the loop.
//
// Happy path: start -> next() -> wait, `wake` -> next() -> some, data(), consume()… -> end, digest().
// Failure modes: a read fails, or the file ends before `size`: next() -> failed, error() says why; 0 is the second.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>

#include "client/machine.h"
#include "proto/bytes.h"
#include "proto/digest.h"

namespace cproto::client {

class FileReader {
 public:
  // `wake` is called from the loop when next() has something new to say.
  FileReader(Machine& machine, std::function<void()> wake) : machine_(machine), wake_(std::move(wake)) {}
  ~FileReader() { stop(); }
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  // Where a file stands: everything before `offset` is behind us, of which `chain` covers the whole pieces.
  struct Start {
    std::uint64_t offset = 0;
    std::uint64_t pieces = 0;
    Digest chain{};
  };
  // What lies between the whole pieces and the offset is read for the digest alone.
  void start(std::shared_ptr<const OpenFile> file, std::uint64_t size, const Start& from);
  void stop();
  bool is_started() const { return state_ != nullptr; }

  enum class Got { some, wait, end, failed };
  Got next();
  int error() const { return error_; }

  // What was read and not consumed, after Got::some. Lives until it is consumed.
  ByteView data() const;
  void consume(std::size_t bytes);
  // Bytes consumed, from the file's beginning.
  std::uint64_t offset() const { return offset_; }
  // Of the whole pieces that were consumed. Grows when consume() has passed the end of one.
  std::uint64_t pieces() const { return pieces_; }
  const Digest& chain() const { return chain_; }
  // After Got::end.
  Digest digest() const;

 private:
  struct State;
  struct Chunk;
  void read_ahead();
  void on_read(Chunk& chunk);

  Machine& machine_;
  std::function<void()> wake_;
  std::shared_ptr<State> state_;
  int error_ = 0;
  std::uint64_t offset_ = 0;
  std::uint64_t pieces_ = 0;
  Digest chain_{};
};

}  // namespace cproto::client
