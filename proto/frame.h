// The frame (PROTOCOL §2): an 11-byte header, then the payload.
//
//    0       4      5          7          11
//    +-------+------+----------+----------+---------···
//    | length| type | sequence | checksum | payload
//    +-------+------+----------+----------+---------···
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "proto/bytes.h"
#include "proto/seq.h"

namespace cproto {

inline constexpr std::size_t kHeaderSize = 11;
inline constexpr std::size_t kFrameChecksumAt = 7;

enum class FrameType : std::uint8_t {
  data = 0x01,
  ack = 0x02,
  error = 0x03,
  keep_alive = 0x04,
  disconnect = 0x05,
  syn = 0x06,
  syn_ack = 0x07,
  fragment = 0x08,
  header = 0x09,
};

// DATA, FRAGMENT and HEADER are numbered, one by one; the others are not (PROTOCOL §4.1).
constexpr bool is_numbered(FrameType type) {
  return type == FrameType::data || type == FrameType::fragment || type == FrameType::header;
}

// The name in PROTOCOL §2.2, or nullptr for a type this version does not know.
const char* frame_type_name(FrameType type);

struct FrameHeader {
  std::uint32_t payload_size = 0;
  FrameType type{};
  WireSeq seq;
  std::uint32_t checksum = 0;
};

// A frame in somebody's buffer; the views live as long as that buffer.
struct Frame {
  FrameType type{};
  WireSeq seq;
  ByteView payload;
  ByteView whole;  // header and payload
};

// Pre: at least kHeaderSize bytes at `p`. Inline: whoever walks along frames waits for the length only.
inline FrameHeader decode_header(const std::uint8_t* p) {
  return {load_be<std::uint32_t>(p),
          static_cast<FrameType>(p[4]),
          {load_be<std::uint16_t>(p + 5)},
          load_be<std::uint32_t>(p + kFrameChecksumAt)};
}

// PROTOCOL §2.4. CRC-32 over the seven bytes before the checksum and the payload.
// Pre: kHeaderSize + payload_size bytes at `frame`.
std::uint32_t frame_checksum(const std::uint8_t* frame, std::size_t payload_size);

// Writes header and payload to `out`, which has room for kHeaderSize + payload.size() bytes.
void encode_frame_at(std::uint8_t* out, FrameType type, WireSeq seq, ByteView payload);
// Appends header and payload to `out`.
void encode_frame(FrameType type, WireSeq seq, ByteView payload, Bytes& out);

}  // namespace cproto
