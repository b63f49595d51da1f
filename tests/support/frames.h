// Frames as the other side would write them, and what a session wrote, taken apart again.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "proto/bytes.h"
#include "proto/control.h"
#include "proto/error.h"
#include "proto/frame.h"
#include "proto/handshake.h"
#include "proto/message.h"

namespace cproto::test {

// Ids that tests know: sixteen times the same byte.
Id128 id_of(std::uint8_t byte);
inline SessionId session_id() { return id_of(0x5e); }
inline StoreId store_id() { return id_of(0x70); }

inline constexpr Duration kKeepAlive = 20s;

// A SYN and an answer to it with nothing special about them; tests change what they are about.
Syn a_syn();
SynAck some_terms();

Bytes frame_of(FrameType type, ByteView payload = {}, std::uint64_t number = 0);
Bytes data(std::uint64_t number, std::string_view text);
Bytes fragment(std::uint64_t number, std::string_view text);
Bytes header(std::uint64_t number, MessageKind kind, std::string channel = {});
Bytes abandonment(std::uint64_t number);
Bytes syn(const Syn& syn);
Bytes syn_ack(const SynAck& terms);
Bytes confirmation(const SessionId& session = session_id());
Bytes confirmation_of_close(std::uint64_t number, const SessionId& session = session_id());
Bytes ack(const Ack& ack);
// Everything through `number` is durable and received, with limits that do not bind.
Bytes ack_through(std::uint64_t number);
Bytes error(ErrorCode code, std::uint64_t number = 0);
Bytes keep_alive(KeepAlive keep_alive);
Bytes disconnect(Disconnect::End end, std::uint64_t last);
Bytes of_unknown_type();

// One bit of the last byte turned over.
Bytes damaged(Bytes frame);
Bytes join(std::initializer_list<Bytes> frames);

// A frame with a payload of its own.
struct OwnedFrame {
  FrameType type{};
  WireSeq seq;
  Bytes payload;
};
// The frames in `bytes`, which must all be whole and intact.
std::vector<OwnedFrame> frames_in(ByteView bytes);
// Their names: "SYN-ACK", "ACK, KEEP-ALIVE".
std::string names_in(ByteView bytes);
// What each says, by describe() of proto/trace.h, joined by "; ".
std::string description_of(ByteView bytes);

}  // namespace cproto::test
