#include "proto/frame.h"

#include "proto/checksum.h"

namespace cproto {

namespace {

std::uint32_t checksum(const std::uint8_t* head, ByteView payload) {
  return crc32(crc32_of_seven(std::span<const std::uint8_t, kFrameChecksumAt>(head, kFrameChecksumAt)), payload);
}

}  // namespace

const char* frame_type_name(FrameType type) {
  switch (type) {
    case FrameType::data: return "DATA";
    case FrameType::ack: return "ACK";
    case FrameType::error: return "ERROR";
    case FrameType::keep_alive: return "KEEP-ALIVE";
    case FrameType::disconnect: return "DISCONNECT";
    case FrameType::syn: return "SYN";
    case FrameType::syn_ack: return "SYN-ACK";
    case FrameType::fragment: return "FRAGMENT";
    case FrameType::header: return "HEADER";
  }
  return nullptr;
}

std::uint32_t frame_checksum(const std::uint8_t* frame, std::size_t payload_size) {
  return checksum(frame, {frame + kHeaderSize, payload_size});
}

void encode_frame_at(std::uint8_t* out, FrameType type, WireSeq seq, ByteView payload) {
  store_be(out, static_cast<std::uint32_t>(payload.size()));
  out[4] = static_cast<std::uint8_t>(type);
  store_be(out + 5, seq.value);
  // Of the payload where it comes from: what was just copied is still on its way to the cache, and waited for.
  store_be(out + kFrameChecksumAt, checksum(out, payload));
  if (!payload.empty()) std::memcpy(out + kHeaderSize, payload.data(), payload.size());
}

void encode_frame(FrameType type, WireSeq seq, ByteView payload, Bytes& out) {
  const std::size_t at = out.size();
  out.resize(at + kHeaderSize + payload.size());
  encode_frame_at(out.data() + at, type, seq, payload);
}

}  // namespace cproto
