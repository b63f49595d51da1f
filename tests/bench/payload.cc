#include "tests/bench/payload.h"

#include "proto/random.h"

namespace cproto::bench {

Bytes make_payload(std::size_t size) {
  Random random(1);
  Bytes payload(size);
  for (std::uint8_t& byte : payload) byte = static_cast<std::uint8_t>(random.between('0', 'z'));
  return payload;
}

}  // namespace cproto::bench
