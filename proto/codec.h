// Cuts what a transport delivers into frames (PROTOCOL §2). Knows lengths and checksums, not what a frame means.
//
// Whole frames are views of the input: nothing is copied. A frame split over several inputs is put together in a buffer
// of the decoder's own, which grows as its bytes arrive and never ahead of them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "proto/frame.h"
#include "proto/options.h"

namespace cproto {

class Decoder {
 public:
  enum class Status : std::uint8_t {
    need_more,  // nothing whole is left of the input
    frame,      // an intact frame
    damaged,    // a frame whose checksum is wrong; only its length was believed, and it has been passed over
    too_large,  // a length above the limit: nothing behind it can be read any more (on a stream)
  };
  struct Result {
    Status status = Status::need_more;
    Frame frame;  // for `frame`; its views live until the next feed()
  };

  explicit Decoder(Transport transport) : transport_(transport) {}

  // The longest payload accepted from now on, in bytes.
  void set_payload_max(std::uint32_t bytes) { payload_max_ = bytes; }

  // Hands over input, which must stay where it is until the next feed().
  // Pre: next() has said need_more or too_large since the last feed().
  void feed(ByteView input);
  Result next();

  // The beginning of what no frame has used yet: for a look at what a stranger said. Lives until the next feed().
  ByteView unread() const {
    if (has_split()) return split_;
    return rest_.empty() ? input_ : ByteView(rest_);
  }

 private:
  bool has_split() const { return !split_.empty() && !split_is_done_; }
  Result next_split();
  Result next_whole();
  Result leave_rest();
  bool fill_split(std::size_t size);
  static Result check(ByteView whole);

  Transport transport_;
  bool split_is_done_ = false;
  std::uint32_t payload_max_ = kHandshakePayloadMax;
  ByteView input_;
  Bytes split_;  // the frame that began in an earlier input; whole once split_is_done_
  Bytes rest_;   // the beginning of a frame whose end is still to come
};

}  // namespace cproto
