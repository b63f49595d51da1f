// One line a frame on standard error, in both directions: --trace.
#pragma once

#include <string>

#include "proto/codec.h"
#include "proto/time.h"

namespace cproto::client {

class Tracer {
 public:
  explicit Tracer(Instant start);

  // Lines for the frames that end in `bytes`.
  std::string sent(Instant now, ByteView bytes) { return trace(now, "->", sent_, bytes); }
  std::string received(Instant now, ByteView bytes) { return trace(now, "<-", received_, bytes); }
  // Another connection: what was begun is not ended.
  void restart();

 private:
  std::string trace(Instant now, const char* arrow, Decoder& decoder, ByteView bytes) const;

  Instant start_;
  Decoder sent_{Transport::stream};
  Decoder received_{Transport::stream};
};

}  // namespace cproto::client
