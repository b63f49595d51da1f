// The payloads of the frames that steer: ACK (PROTOCOL §6.1), KEEP-ALIVE (§7.1), DISCONNECT (§7.2).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "proto/bytes.h"
#include "proto/error.h"
#include "proto/options.h"
#include "proto/seq.h"

namespace cproto {

// Numbers received out of order, both ends included.
struct SeqRange {
  Seq first;
  Seq last;
  bool operator==(const SeqRange&) const = default;
};

// PROTOCOL §6.1. What the server says of a session. Only durable_through lets a sender forget.
struct Ack {
  Seq durable_through;
  Seq received_through;
  Seq limit_number;
  std::uint64_t limit_bytes = 0;
  bool is_final = false;         // the last of a close: everything is durable and delivered
  std::vector<SeqRange> ranges;  // ascending, with a gap before each; at most kAckRangesMax
  // On a datagram transport: the refusals durable since the connection began, ascending (PROTOCOL §4.6).
  std::vector<Refusal> refusals{};
};

void encode_ack(const Ack& ack, Bytes& out);
// nullopt if it is cut short or contradicts itself.
std::optional<Ack> decode_ack(ByteView payload);

// PROTOCOL §7.1. An ask is answered; an answer is not.
enum class KeepAlive : std::uint8_t { ask = 0, answer = 1 };
void encode_keep_alive(KeepAlive keep_alive, Bytes& out);
std::optional<KeepAlive> decode_keep_alive(ByteView payload);

// PROTOCOL §7.2.
struct Disconnect {
  enum class End : std::uint8_t {
    finish = 1,  // the session: everything is sent
    pause = 2,   // the connection only
  };
  End end = End::finish;
  std::uint32_t retry_after_ms = 0;  // the server's pause: when to come back
  Seq last;                          // the client's: the highest number it has sent
};
void encode_disconnect(const Disconnect& disconnect, Bytes& out);
std::optional<Disconnect> decode_disconnect(ByteView payload);

}  // namespace cproto
