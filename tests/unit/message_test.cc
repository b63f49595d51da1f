#include "proto/message.h"

#include <doctest/doctest.h>

#include "proto/tlv.h"

using namespace cproto;

namespace {

MessageStep step(MessageState& state, FrameType type, std::uint64_t number, std::size_t size = 0,
                 MessageKind kind = MessageKind::none) {
  return advance(state, type, {number}, size, MessageKind::text, kind);
}

Bytes encoded(const MessageHeader& header) {
  Bytes out;
  encode_message_header(header, out);
  return out;
}

ErrorCode error_of(ByteView payload) {
  const auto decoded = decode_message_header(payload);
  const Error* error = std::get_if<Error>(&decoded);
  return error != nullptr ? error->code : ErrorCode::none;
}

}  // namespace

TEST_CASE("message: one DATA is a whole message") {
  MessageState state;
  CHECK(step(state, FrameType::data, 1, 10) == MessageStep::ends);
  CHECK_FALSE(state.is_begun);
}

TEST_CASE("message: fragments add up until DATA ends them") {
  MessageState state;
  CHECK(step(state, FrameType::fragment, 7, 10) == MessageStep::goes_on);
  CHECK(step(state, FrameType::fragment, 8, 5) == MessageStep::goes_on);
  CHECK(state.is_begun);
  CHECK(state.kind == MessageKind::text);
  CHECK(state.first == Seq{7});
  CHECK(state.bytes == 15);
  CHECK(step(state, FrameType::data, 9, 1) == MessageStep::ends);
  CHECK_FALSE(state.is_begun);
  CHECK(state.bytes == 0);
}

TEST_CASE("message: a HEADER says what follows it") {
  MessageState state;
  CHECK(step(state, FrameType::header, 3, 4, MessageKind::binary) == MessageStep::goes_on);
  CHECK(state.kind == MessageKind::binary);
  CHECK(state.first == Seq{3});
  CHECK(state.bytes == 0);
  CHECK(step(state, FrameType::fragment, 4, 6) == MessageStep::goes_on);
  CHECK(state.kind == MessageKind::binary);
  CHECK(step(state, FrameType::data, 5) == MessageStep::ends);
}

TEST_CASE("message: a HEADER of no kind abandons what was begun") {
  MessageState state;
  step(state, FrameType::fragment, 1, 10);
  CHECK(step(state, FrameType::header, 2) == MessageStep::abandoned);
  CHECK_FALSE(state.is_begun);
}

TEST_CASE("message: nothing begun cannot be abandoned, and nothing begins twice") {
  MessageState state;
  CHECK(step(state, FrameType::header, 1) == MessageStep::breaks);
  step(state, FrameType::fragment, 1, 10);
  CHECK(step(state, FrameType::header, 2, 0, MessageKind::text) == MessageStep::breaks);
}

TEST_CASE("message: a header's payload is read as it was written") {
  const auto decoded = decode_message_header(encoded({MessageKind::binary, "metrics"}));
  const MessageHeader* header = std::get_if<MessageHeader>(&decoded);
  REQUIRE(header != nullptr);
  CHECK(header->kind == MessageKind::binary);
  CHECK(header->channel == "metrics");
}

TEST_CASE("message: a header cut short anywhere is malformed") {
  const Bytes whole = encoded({MessageKind::binary, "metrics"});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    if (size == 4) continue;  // a header without parameters
    REQUIRE(error_of(ByteView(whole).first(size)) == ErrorCode::malformed_frame);
  }
}

TEST_CASE("message: a header of unknown kind or with a bad channel is refused") {
  Bytes payload = encoded({MessageKind::text, {}});
  payload[0] = 4;
  CHECK(error_of(payload) == ErrorCode::malformed_frame);
  CHECK(error_of(encoded({MessageKind::text, "../up"})) == ErrorCode::bad_channel);
}

TEST_CASE("message: an unknown critical parameter of a header is refused, another is passed over") {
  Bytes payload = encoded({MessageKind::text, {}});
  ByteWriter writer(payload);
  put_tlv(writer, 0x1234, as_bytes("?"));
  CHECK(error_of(payload) == ErrorCode::none);
  put_tlv(writer, 0x9234, as_bytes("?"));
  CHECK(error_of(payload) == ErrorCode::unknown_critical_parameter);
}
