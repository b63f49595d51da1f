// Bytes in large steps, from wherever they come: a file, a pipe, a log that grows and is rotated.
//
// Happy path: fill() -> some, data(), consume()…, fill() -> end.
// Otherwise: fill() -> wait, and the owner is woken once there may be something; fill() -> failed, error() says why;
// fill() -> boundary, one file has come to its end and another follows.
#pragma once

#include "proto/bytes.h"

namespace cproto::client {

class ByteInput {
 public:
  virtual ~ByteInput() = default;

  enum class Got {
    some,
    wait,
    end,
    // What is left in data() is a last line without LF. It may be less than it was, if it is to come again: then it is
    // nothing. Said again until data() is consumed; the next fill() after that goes on with what follows.
    boundary,
    failed,
  };
  // Reads once, behind what is there.
  virtual Got fill() = 0;
  virtual int error() const = 0;

  // What was read and not consumed. Lives until the next fill().
  virtual ByteView data() const = 0;
  virtual void consume(std::size_t bytes) = 0;

  // What is read from here is gone for good: no regular file.
  virtual bool is_stream() const = 0;
  // Somebody may be held writing to the other end.
  virtual bool has_writer() const = 0;
};

}  // namespace cproto::client
