// However a stream is cut, the same frames come out, and the damage in the same places.
#include <string>
#include <vector>

#include "proto/assert.h"
#include "proto/codec.h"
#include "tests/fuzz/script.h"

using namespace cproto;

namespace {

std::vector<std::string> decoded(ByteView stream, std::uint8_t cut_seed) {
  std::vector<std::string> all;
  Decoder decoder(Transport::stream);
  bool is_lost = false;
  Bytes piece;
  fuzz::in_pieces(stream, cut_seed, [&](ByteView bytes) {
    if (is_lost) return;
    piece.assign(bytes.begin(), bytes.end());  // an exact allocation: reading past it is found
    decoder.feed(piece);
    for (auto result = decoder.next(); result.status != Decoder::Status::need_more; result = decoder.next()) {
      is_lost = result.status == Decoder::Status::too_large;
      std::string one = std::to_string(static_cast<int>(result.status));
      if (result.status == Decoder::Status::frame) {
        const Frame& frame = result.frame;
        CPROTO_ASSERT(frame.payload.size() <= kHandshakePayloadMax);
        CPROTO_ASSERT(frame.whole.size() == kHeaderSize + frame.payload.size());
        one += to_hex(frame.whole);
      }
      all.push_back(std::move(one));
      if (is_lost) return;
    }
  });
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Script script = fuzz::read_script({data, size});
  Bytes stream;
  for (const fuzz::Step& step : script.steps) append(stream, step.input);
  const auto whole = decoded(stream, 0);
  CPROTO_ASSERT(decoded(stream, static_cast<std::uint8_t>(script.options | 1)) == whole);
  return 0;
}
