// The header of a batch by itself: any sender can have such bytes written into the journal, inside a message.
#include <doctest/doctest.h>

#include "daemon/batch.h"

using namespace cproto;

TEST_CASE("batch: a header whose records would reach beyond the batch is none") {
  for (std::uint32_t used = 0xffffffff; used > 0xffffffff - 9000; used -= 7) {
    BatchHeader header;
    header.used = used;
    header.size = batch_size(used);  // its sum does not fit 32 bits
    Bytes bytes(kBatchHeaderSize);
    encode_batch_header(header, bytes.data());
    const auto decoded = decode_batch_header(bytes.data());
    INFO(used);
    CHECK((!decoded || decoded->used <= decoded->size - 2 * kBatchHeaderSize));
  }
}
