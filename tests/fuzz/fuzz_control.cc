// An ACK, ERROR, KEEP-ALIVE, DISCONNECT or HEADER that is accepted means the same when it is written and read again,
// and each can be described.
#include "proto/control.h"
#include "proto/message.h"
#include "proto/trace.h"
#include "tests/fuzz/again.h"

using namespace cproto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  fuzz::check_again(input, decode_ack, encode_ack);
  fuzz::check_again(input, decode_error, encode_error);
  fuzz::check_again(input, decode_keep_alive, encode_keep_alive);
  fuzz::check_again(input, decode_disconnect, encode_disconnect);
  fuzz::check_again(input, decode_message_header, encode_message_header);
  for (std::uint8_t type = 0; type <= 0x0a; ++type)
    CPROTO_ASSERT(!describe({static_cast<FrameType>(type), {}, input, {}}).empty());
  if (const auto ack = decode_ack(input)) {
    CPROTO_ASSERT(ack->ranges.size() <= kAckRangesMax && ack->refusals.size() <= kRefusalsMax);
    CPROTO_ASSERT(ack->durable_through <= ack->received_through);
  }
  return 0;
}
