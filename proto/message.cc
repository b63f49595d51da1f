#include "proto/message.h"

#include "proto/tlv.h"

namespace cproto {

namespace {

MessageStep begin_with_header(MessageState& state, Seq seq, MessageKind kind) {
  if (kind == MessageKind::none) {
    if (!state.is_begun) return MessageStep::breaks;
    state = {};
    return MessageStep::abandoned;
  }
  if (state.is_begun) return MessageStep::breaks;
  state = {.is_begun = true, .is_refused = false, .kind = kind, .first = seq, .bytes = 0};
  return MessageStep::goes_on;
}

}  // namespace

// PROTOCOL §4.4: u8 kind, u8 and u16 reserved, then parameters.
void encode_message_header(const MessageHeader& header, Bytes& out) {
  ByteWriter writer(out);
  writer.u8(static_cast<std::uint8_t>(header.kind));
  writer.u8(0);
  writer.u16(0);
  if (!header.channel.empty()) put_tlv(writer, kTlvMessageChannel, as_bytes(header.channel));
}

std::variant<MessageHeader, Error> decode_message_header(ByteView payload) {
  ByteReader reader(payload);
  const std::uint8_t kind = reader.u8();
  reader.u8();
  reader.u16();
  if (reader.failed()) return Error::of(ErrorCode::malformed_frame, 0, "HEADER is cut short");
  if (kind > static_cast<std::uint8_t>(MessageKind::file))
    return Error::of(ErrorCode::malformed_frame, 0, "HEADER of an unknown kind of message");
  MessageHeader header{static_cast<MessageKind>(kind), {}};
  while (!reader.empty()) {
    const Tlv tlv = take_tlv(reader);
    if (reader.failed()) return Error::of(ErrorCode::malformed_frame, 0, "a parameter of HEADER is cut short");
    if (tlv.type == kTlvMessageChannel) {
      header.channel = as_text(tlv.value);
      if (!is_valid_name(header.channel)) return Error::of(ErrorCode::bad_channel);
    } else if (tlv.is_critical() && header.kind != MessageKind::file) {
      return Error::of(ErrorCode::unknown_critical_parameter, tlv.type, tlv_name(tlv.type));
    }
  }
  return header;
}

MessageStep advance(MessageState& state, FrameType type, Seq seq, std::size_t payload_size, MessageKind default_kind,
                    MessageKind kind) {
  if (type == FrameType::header) return begin_with_header(state, seq, kind);
  if (type == FrameType::data) {
    state = {};
    return MessageStep::ends;
  }
  if (!state.is_begun) state = {.is_begun = true, .is_refused = false, .kind = default_kind, .first = seq, .bytes = 0};
  state.bytes += payload_size;
  return MessageStep::goes_on;
}

}  // namespace cproto
