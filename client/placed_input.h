// Bytes whose place can be remembered, and found again by a later run of the program.
#pragma once

#include <cstdint>

#include "client/byte_input.h"

namespace cproto::client {

class PlacedInput : public ByteInput {
 public:
  // Where the first byte of data() is. Also while waiting.
  virtual Bytes place() const = 0;
  // Changes when place() has moved otherwise than by consume(), or says more than before. That is only within fill().
  virtual std::uint64_t generation() const = 0;
  // Begins at the beginning. Returns errno.
  [[nodiscard]] virtual int begin() = 0;
  // Whether what is at this place now is what was there. Returns errno where that cannot be told.
  [[nodiscard]] virtual int knows(ByteView place, bool& is_known) const = 0;
  // Begins `behind` bytes after the place instead of at the front. Pre: the place is known, nothing was read. Returns
  // errno.
  [[nodiscard]] virtual int resume(ByteView place, std::uint64_t behind) = 0;
};

}  // namespace cproto::client
