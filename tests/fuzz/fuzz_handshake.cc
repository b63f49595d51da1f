// A SYN, SYN-ACK or confirmation that is accepted means the same when it is written and read again; any other is
// refused with an error.
#include "proto/handshake.h"
#include "tests/fuzz/again.h"

using namespace cproto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  fuzz::check_again(input, decode_syn, encode_syn);
  fuzz::check_again(input, decode_syn_ack, encode_syn_ack);
  fuzz::check_again(input, decode_confirmation, encode_confirmation);
  const auto syn = decode_syn(input);
  if (const Error* error = std::get_if<Error>(&syn)) CPROTO_ASSERT(find_error(error->code) != nullptr);
  const auto terms = decode_syn_ack(input);
  if (const Error* error = std::get_if<Error>(&terms)) CPROTO_ASSERT(find_error(error->code) != nullptr);
  return 0;
}
