#include "proto/control.h"

namespace cproto {

namespace {
constexpr std::uint16_t kAckFinal = 1;
}

// PROTOCOL §6.1: u64 durable_through, u64 received_through, u64 limit_number, u64 limit_bytes, u16 flags, u16 count,
// count × (u64 first, u64 last).
void encode_ack(const Ack& ack, Bytes& out) {
  ByteWriter writer(out);
  writer.u64(ack.durable_through.value);
  writer.u64(ack.received_through.value);
  writer.u64(ack.limit_number.value);
  writer.u64(ack.limit_bytes);
  writer.u16(ack.is_final ? kAckFinal : 0);
  writer.u16(static_cast<std::uint16_t>(ack.ranges.size()));
  for (const SeqRange& range : ack.ranges) {
    writer.u64(range.first.value);
    writer.u64(range.last.value);
  }
}

std::optional<Ack> decode_ack(ByteView payload) {
  ByteReader reader(payload);
  Ack ack;
  ack.durable_through = {reader.u64()};
  ack.received_through = {reader.u64()};
  ack.limit_number = {reader.u64()};
  ack.limit_bytes = reader.u64();
  ack.is_final = (reader.u16() & kAckFinal) != 0;
  const std::size_t count = reader.u16();
  if (reader.failed() || count > kAckRangesMax || ack.received_through < ack.durable_through) return std::nullopt;
  Seq behind = ack.received_through;
  for (std::size_t i = 0; i < count; ++i) {
    const SeqRange range{{reader.u64()}, {reader.u64()}};
    if (reader.failed() || range.first <= behind.next() || range.last < range.first) return std::nullopt;
    behind = range.last;
    ack.ranges.push_back(range);
  }
  return ack;
}

void encode_keep_alive(KeepAlive keep_alive, Bytes& out) { out.push_back(static_cast<std::uint8_t>(keep_alive)); }

std::optional<KeepAlive> decode_keep_alive(ByteView payload) {
  if (payload.empty() || payload[0] > 1) return std::nullopt;
  return static_cast<KeepAlive>(payload[0]);
}

// PROTOCOL §7.2: u8 end, u8 and u16 reserved, u32 retry_after_ms, u64 last.
void encode_disconnect(const Disconnect& disconnect, Bytes& out) {
  ByteWriter writer(out);
  writer.u8(static_cast<std::uint8_t>(disconnect.end));
  writer.u8(0);
  writer.u16(0);
  writer.u32(disconnect.retry_after_ms);
  writer.u64(disconnect.last.value);
}

std::optional<Disconnect> decode_disconnect(ByteView payload) {
  ByteReader reader(payload);
  const std::uint8_t end = reader.u8();
  reader.u8();
  reader.u16();
  Disconnect disconnect;
  disconnect.retry_after_ms = reader.u32();
  disconnect.last = {reader.u64()};
  if (reader.failed() || end < 1 || end > 2) return std::nullopt;
  disconnect.end = static_cast<Disconnect::End>(end);
  return disconnect;
}

}  // namespace cproto
