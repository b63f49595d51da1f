#include "tests/support/frames.h"

#include <utility>

#include "proto/assert.h"
#include "proto/codec.h"
#include "proto/trace.h"

namespace cproto::test {

namespace {

std::string joined(ByteView bytes, std::string_view separator, std::string (*text_of)(const OwnedFrame&)) {
  std::string text;
  for (const OwnedFrame& frame : frames_in(bytes)) {
    if (!text.empty()) text += separator;
    text += text_of(frame);
  }
  return text;
}

}  // namespace

Id128 id_of(std::uint8_t byte) {
  Id128 id;
  id.fill(byte);
  return id;
}

Syn a_syn() {
  Syn syn;
  syn.max_packet_size = 1024;
  syn.window_size = 100;
  syn.client_id = "host-1";
  return syn;
}

SynAck some_terms() {
  SynAck terms;
  terms.max_packet_size = 1024;
  terms.window_size = 100;
  terms.keep_alive_ms = 20'000;
  terms.store = store_id();
  terms.session = session_id();
  terms.limit_number = {100};
  terms.limit_bytes = 1u << 20;
  return terms;
}

Bytes frame_of(FrameType type, ByteView payload, std::uint64_t number) {
  Bytes out;
  encode_frame(type, to_wire(Seq{number}), payload, out);
  return out;
}

Bytes data(std::uint64_t number, std::string_view text) { return frame_of(FrameType::data, as_bytes(text), number); }
Bytes fragment(std::uint64_t number, std::string_view text) {
  return frame_of(FrameType::fragment, as_bytes(text), number);
}

Bytes header(std::uint64_t number, MessageKind kind, std::string channel) {
  Bytes payload;
  encode_message_header({kind, std::move(channel)}, payload);
  return frame_of(FrameType::header, payload, number);
}
Bytes abandonment(std::uint64_t number) { return header(number, MessageKind::none); }

Bytes syn(const Syn& syn) {
  Bytes payload;
  encode_syn(syn, payload);
  return frame_of(FrameType::syn, payload);
}
Bytes syn_ack(const SynAck& terms) {
  Bytes payload;
  encode_syn_ack(terms, payload);
  return frame_of(FrameType::syn_ack, payload);
}
Bytes confirmation(const SessionId& session) {
  Bytes payload;
  encode_confirmation({session, std::nullopt}, payload);
  return frame_of(FrameType::ack, payload);
}
Bytes confirmation_of_close(std::uint64_t number, const SessionId& session) {
  Bytes payload;
  encode_confirmation({session, Seq{number}}, payload);
  return frame_of(FrameType::ack, payload);
}
Bytes ack(const Ack& ack) {
  Bytes payload;
  encode_ack(ack, payload);
  return frame_of(FrameType::ack, payload, ack.durable_through.value);
}
Bytes ack_through(std::uint64_t number) {
  return ack({.durable_through = {number},
              .received_through = {number},
              .limit_number = {number + 100},
              .limit_bytes = 1u << 30,
              .is_final = false,
              .ranges = {}});
}
Bytes error(ErrorCode code, std::uint64_t number) {
  Bytes payload;
  encode_error(Error::of(code, number), payload);
  return frame_of(FrameType::error, payload, number);
}
Bytes keep_alive(KeepAlive keep_alive) {
  Bytes payload;
  encode_keep_alive(keep_alive, payload);
  return frame_of(FrameType::keep_alive, payload);
}
Bytes disconnect(Disconnect::End end, std::uint64_t last) {
  Bytes payload;
  encode_disconnect({end, 0, {last}}, payload);
  return frame_of(FrameType::disconnect, payload);
}
Bytes of_unknown_type() { return frame_of(static_cast<FrameType>(0x0a)); }

Bytes damaged(Bytes frame) {
  frame.back() ^= 1;
  return frame;
}

Bytes join(std::initializer_list<Bytes> frames) {
  Bytes all;
  for (const Bytes& frame : frames) append(all, frame);
  return all;
}

std::vector<OwnedFrame> frames_in(ByteView bytes) {
  std::vector<OwnedFrame> frames;
  Decoder decoder(Transport::stream);
  decoder.set_payload_max(kPacketSizeMax);
  decoder.feed(bytes);
  for (auto result = decoder.next(); result.status != Decoder::Status::need_more; result = decoder.next()) {
    CPROTO_ASSERT(result.status == Decoder::Status::frame);
    const Frame& frame = result.frame;
    frames.push_back({frame.type, frame.seq, {frame.payload.begin(), frame.payload.end()}});
    bytes = bytes.subspan(frame.whole.size());
  }
  CPROTO_ASSERT(bytes.empty());
  return frames;
}

std::string names_in(ByteView bytes) {
  return joined(bytes, ", ", [](const OwnedFrame& frame) {
    const char* name = frame_type_name(frame.type);
    return std::string(name != nullptr ? name : "unknown");
  });
}

std::string description_of(ByteView bytes) {
  return joined(bytes, "; ", [](const OwnedFrame& frame) {
    return describe({frame.type, frame.seq, frame.payload, {}});
  });
}

}  // namespace cproto::test
