// SYN and SYN-ACK (PROTOCOL §3): what is offered, what is answered, and how both are written. Knows the layout and the
// ranges; who may have which session is decided above.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "proto/bytes.h"
#include "proto/error.h"
#include "proto/options.h"
#include "proto/seq.h"

namespace cproto {

using SessionId = Id128;
using StoreId = Id128;

// PROTOCOL §3.2.
struct Syn {
  std::uint8_t version_min = kVersionMin;
  std::uint8_t version_max = kVersionMax;
  OperationMode mode = OperationMode::burst;
  std::uint32_t max_packet_size = 64 * 1024;
  std::uint32_t window_size = kWindowMax;
  std::uint64_t attempt = 1;
  std::string client_id;  // empty: the server assigns one
  std::string channel = "messages";
  MessageKind kind = MessageKind::text;
  struct Resume {
    SessionId session{};
    StoreId store{};
    Seq acknowledged;                         // the highest number the client was told is durable
    std::uint64_t acknowledged_bytes = 0;     // payload bytes of the numbers up to there
    std::uint64_t acknowledged_messages = 0;  // messages ended up to there
  };
  std::optional<Resume> resume;
  Seq refusals_heard;  // refusals of messages that began up to here need not be repeated
  std::string software;
};

// What is behind an acknowledgement: it is synced to the server's disk; or the servers of a stream have it.
enum class Durability : std::uint8_t { fsync = 1, replicated = 2 };

// PROTOCOL §3.3.
struct SynAck {
  enum class Outcome : std::uint8_t {
    begun = 0,      // a new session
    resumed = 1,    // the one that was asked for
    restarted = 2,  // a new one, numbered on behind what was acknowledged in one this store does not know
  };
  std::uint8_t version = kVersionMax;
  OperationMode mode = OperationMode::burst;
  Durability durability = Durability::fsync;
  Outcome outcome = Outcome::begun;
  std::uint32_t max_packet_size = 0;
  std::uint32_t window_size = 0;
  std::uint32_t keep_alive_ms = 0;
  StoreId store{};
  SessionId session{};
  Seq durable_through;
  std::uint64_t durable_bytes = 0;     // payload bytes of the numbers up to there
  std::uint64_t durable_messages = 0;  // messages ended up to there: taken, refused or abandoned
  Seq limit_number;                    // PROTOCOL §6.2
  std::uint64_t limit_bytes = 0;
  std::uint64_t message_size_max = 0;  // 0: none
  std::uint64_t file_size_max = 0;     // 0: none
  std::uint8_t replicas = 1;           // of Durability::replicated: servers that have it
  bool replicas_sync = true;           // of that: each has synced it
  std::string client_id;               // set where the server assigned it
  struct Unfinished {
    Seq first;
    std::uint64_t durable_bytes = 0;
    MessageKind kind = MessageKind::none;
  };
  std::optional<Unfinished> unfinished;
  std::vector<Refusal> refusals;
  std::string software;
};

// What a client asks of an acknowledgement.
enum class Require : std::uint8_t {
  any,         // what the server calls durable
  fsync,       // synced, wherever it is
  replicated,  // on more servers than one
};
bool meets(const SynAck& terms, Require required);
// For people: "fsync"; "replicated to 3 servers, synced"; "on 1 server, not synced".
std::string durability_text(const SynAck& terms);

void encode_syn(const Syn& syn, Bytes& out);
// What cannot be accepted whoever sends it comes back as the Error to answer with (PROTOCOL §3.4): the layout, no
// common version, an unknown critical parameter, a value outside its own range, a name outside the alphabet.
std::variant<Syn, Error> decode_syn(ByteView payload);

void encode_syn_ack(const SynAck& syn_ack, Bytes& out);
std::variant<SynAck, Error> decode_syn_ack(ByteView payload);

// PROTOCOL §3.5, §7.2. What the client's ACK says: the third step of the handshake, or the last of a close, which names
// the final durable_through, too. A late copy of the one can't pass for the other.
struct Confirmation {
  SessionId session{};
  std::optional<Seq> closed_at;
  bool operator==(const Confirmation&) const = default;
};
void encode_confirmation(const Confirmation& confirmation, Bytes& out);
std::optional<Confirmation> decode_confirmation(ByteView payload);

}  // namespace cproto
