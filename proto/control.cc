#include "proto/control.h"

namespace cproto {

namespace {

constexpr std::uint16_t kAckFinal = 0x0001;
constexpr std::uint16_t kAckRefusals = 0x0002;

bool read_ranges(ByteReader& reader, Ack& ack) {
  const std::size_t count = reader.u16();
  if (count > kAckRangesMax) return false;
  Seq behind = ack.received_through;
  for (std::size_t i = 0; i < count; ++i) {
    const SeqRange range{{reader.u64()}, {reader.u64()}};
    if (reader.failed() || range.first <= behind.next() || range.last < range.first) return false;
    behind = range.last;
    ack.ranges.push_back(range);
  }
  return !reader.failed();
}

bool read_refusals(ByteReader& reader, Ack& ack) {
  const std::size_t count = reader.u16();
  if (count > kRefusalsMax) return false;
  Seq behind;
  for (std::size_t i = 0; i < count; ++i) {
    const Refusal refusal{static_cast<ErrorCode>(reader.u16()), {reader.u64()}};
    if (reader.failed() || refusal.first <= behind) return false;
    behind = refusal.first;
    ack.refusals.push_back(refusal);
  }
  return !reader.failed();
}

}  // namespace

// PROTOCOL §6.1: u64 durable_through, u64 received_through, u64 limit_number, u64 limit_bytes, u16 flags, u16 count,
// count × (u64 first, u64 last); with the flag for it u16 count, count × (u16 code, u64 first).
void encode_ack(const Ack& ack, Bytes& out) {
  ByteWriter writer(out);
  writer.u64(ack.durable_through.value);
  writer.u64(ack.received_through.value);
  writer.u64(ack.limit_number.value);
  writer.u64(ack.limit_bytes);
  writer.u16(static_cast<std::uint16_t>((ack.is_final ? kAckFinal : 0) | (ack.refusals.empty() ? 0 : kAckRefusals)));
  writer.u16(static_cast<std::uint16_t>(ack.ranges.size()));
  for (const SeqRange& range : ack.ranges) {
    writer.u64(range.first.value);
    writer.u64(range.last.value);
  }
  if (ack.refusals.empty()) return;
  writer.u16(static_cast<std::uint16_t>(ack.refusals.size()));
  for (const Refusal& refusal : ack.refusals) {
    writer.u16(static_cast<std::uint16_t>(refusal.code));
    writer.u64(refusal.first.value);
  }
}

std::optional<Ack> decode_ack(ByteView payload) {
  ByteReader reader(payload);
  Ack ack;
  ack.durable_through = {reader.u64()};
  ack.received_through = {reader.u64()};
  ack.limit_number = {reader.u64()};
  ack.limit_bytes = reader.u64();
  const std::uint16_t flags = reader.u16();
  ack.is_final = (flags & kAckFinal) != 0;
  if (ack.received_through < ack.durable_through || !read_ranges(reader, ack)) return std::nullopt;
  if ((flags & kAckRefusals) != 0 && !read_refusals(reader, ack)) return std::nullopt;
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
