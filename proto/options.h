// The numbers of the protocol: what may be negotiated, what bounds what, and how long anything waits (PROTOCOL §10).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proto/time.h"

namespace cproto {

inline constexpr std::uint16_t kDefaultPort = 7780;

// PROTOCOL §3.2. Versions this implementation speaks.
inline constexpr std::uint8_t kVersionMin = 1;
inline constexpr std::uint8_t kVersionMax = 1;

// PROTOCOL §5.1. step-by-step is burst with a window of one.
enum class OperationMode : std::uint8_t { step_by_step = 1, burst = 2 };

// PROTOCOL §4.4. What a message is, and so where it goes.
enum class MessageKind : std::uint8_t { none = 0, text = 1, binary = 2, file = 3 };

// Payload bytes of one frame. The upper end keeps a frame well below a journal batch.
inline constexpr std::uint32_t kPacketSizeMin = 64;
inline constexpr std::uint32_t kPacketSizeMax = 1u << 20;
// Until the handshake is complete nobody has agreed to more (PROTOCOL §2.3).
inline constexpr std::uint32_t kHandshakePayloadMax = 4096;
// Control frames (ACK, ERROR, KEEP-ALIVE, DISCONNECT) stay below this whatever was negotiated.
inline constexpr std::uint32_t kControlPayloadMax = 4096;
// Half the space of the 16-bit sequence, less one: beyond it a late frame could be taken for a new one (PROTOCOL §4.2).
inline constexpr std::uint32_t kWindowMax = 32767;

inline constexpr std::size_t kNameMax = 64;  // of a client id and of a channel

// PROTOCOL §6.3. Ranges of out-of-order numbers in one ACK; more are told by the next.
inline constexpr std::size_t kAckRangesMax = 32;
// Refusals the other side has not been seen to know; at this many the connection ends so that a SYN can show it.
inline constexpr std::size_t kRefusalsMax = 64;
// PROTOCOL §2.5. Damaged frames within a minute that end a connection on a byte stream.
inline constexpr int kDamagedFramesMax = 4;

// What the transport below does with bytes (PROTOCOL §1.2).
enum class Transport : std::uint8_t {
  stream,    // in order and complete until it breaks: TCP
  datagram,  // whole frames, each of which may be lost, late, repeated, out of order or damaged
};

// PROTOCOL §10. Deadlines that are not negotiated.
inline constexpr Duration kSynTimeout = 10s;             // client: SYN to SYN-ACK
inline constexpr Duration kReceivedReportDelay = 200ms;  // server: received but not durable for so long is said
inline constexpr Duration kRtoInitial = 1s;              // RFC 6298 §2.1
inline constexpr Duration kRtoMin = 1s;                  // RFC 6298 §2.4
inline constexpr Duration kRtoMax = 60s;                 // RFC 6298 §2.5
inline constexpr Duration kChannelsRetryAfter = 30s;     // server: a client that has as many channels as it may
inline constexpr int kKeepAlivesMissed = 3;              // a peer silent for so many intervals is gone
inline constexpr std::uint32_t kFrameIntervalsMax = 20;  // for so many keep-alive intervals the largest frame may take

// PROTOCOL §3.4. A client id or channel: 1 to 64 of A-Z a-z 0-9 . _ -, not beginning with '.' or '-'.
constexpr bool is_valid_name(std::string_view name) {
  if (name.empty() || name.size() > kNameMax || name[0] == '.' || name[0] == '-') return false;
  for (const char c : name) {
    const bool ok =
        (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    if (!ok) return false;
  }
  return true;
}

// PROTOCOL §4.7. The name of a file: 1 to 255 bytes, no '/', no control bytes, not "." or "..". Any other byte is as
// good as another: names need not be UTF-8.
inline constexpr std::size_t kFileNameMax = 255;
constexpr bool is_valid_file_name(std::string_view name) {
  if (name.empty() || name.size() > kFileNameMax || name == "." || name == "..") return false;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || byte == '/') return false;
  }
  return true;
}

}  // namespace cproto
