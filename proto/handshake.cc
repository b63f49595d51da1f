#include "proto/handshake.h"

#include <algorithm>

#include "proto/tlv.h"

namespace cproto {

namespace {

// PROTOCOL §3.4. Numbers by which a bad_parameter names a fixed field; a TLV is named by its type.
constexpr std::uint64_t kFieldMode = 2;
constexpr std::uint64_t kFieldPacketSize = 4;
constexpr std::uint64_t kFieldWindowSize = 8;

constexpr std::size_t kSoftwareMax = 64;
constexpr std::size_t kIdSize = sizeof(Id128);

bool is_mode(std::uint8_t mode) { return mode == 1 || mode == 2; }
bool is_message_kind(std::uint8_t kind) { return kind >= 1 && kind <= 3; }

Error bad(std::uint64_t field, std::string_view detail) { return Error::of(ErrorCode::bad_parameter, field, detail); }

// The value's range as the offer's own, whatever we would settle for (PROTOCOL §3.4).
std::optional<Error> check_ranges(const Syn& syn, std::uint8_t mode) {
  if (!is_mode(mode)) return bad(kFieldMode, "operation_mode " + std::to_string(mode) + " is neither 1 nor 2");
  if (syn.max_packet_size < kPacketSizeMin)
    return bad(kFieldPacketSize, "max_packet_size " + std::to_string(syn.max_packet_size) + " is below 64");
  if (syn.window_size < 1 || syn.window_size > kWindowMax)
    return bad(kFieldWindowSize, "window_size " + std::to_string(syn.window_size) + " is not in 1 to 32767");
  return std::nullopt;
}

Error malformed(std::string_view what) { return Error::of(ErrorCode::malformed_frame, 0, what); }
Error malformed_tlv(const Tlv& tlv) { return bad(tlv.type, "wrong length"); }

bool read_resume(ByteView value, Syn::Resume& resume) {
  ByteReader reader(value);
  resume.session = reader.id();
  resume.store = reader.id();
  resume.acknowledged = {reader.u64()};
  resume.acknowledged_bytes = reader.u64();
  resume.acknowledged_messages = reader.u64();
  return !reader.failed() && reader.empty();
}

std::optional<Error> read_syn_tlv(const Tlv& tlv, Syn& syn) {
  switch (tlv.type) {
    case kTlvClientId:
      syn.client_id = as_text(tlv.value);
      if (!is_valid_name(syn.client_id)) return Error::of(ErrorCode::bad_client_id);
      return std::nullopt;
    case kTlvChannel:
      syn.channel = as_text(tlv.value);
      if (!is_valid_name(syn.channel)) return Error::of(ErrorCode::bad_channel);
      return std::nullopt;
    case kTlvKind: {
      std::uint8_t kind = 0;
      if (!tlv_number(tlv, kind)) return malformed_tlv(tlv);
      if (!is_message_kind(kind)) return bad(kTlvKind, "unknown kind of message");
      syn.kind = static_cast<MessageKind>(kind);
      return std::nullopt;
    }
    case kTlvResume:
      syn.resume = Syn::Resume{};
      return read_resume(tlv.value, *syn.resume) ? std::nullopt : std::optional(malformed_tlv(tlv));
    case kTlvRefusalsHeard:
      return tlv_number(tlv, syn.refusals_heard.value) ? std::nullopt : std::optional(malformed_tlv(tlv));
    case kTlvSoftware:
      syn.software = as_text(tlv.value.first(std::min(tlv.value.size(), kSoftwareMax)));
      return std::nullopt;
    default:
      if (tlv.is_critical()) return Error::of(ErrorCode::unknown_critical_parameter, tlv.type, tlv_name(tlv.type));
      return std::nullopt;
  }
}

std::optional<Error> read_syn_ack_tlv(const Tlv& tlv, SynAck& syn_ack) {
  ByteReader value(tlv.value);
  switch (tlv.type) {
    case kTlvAssignedClientId:
      syn_ack.client_id = as_text(tlv.value);
      return is_valid_name(syn_ack.client_id) ? std::nullopt : std::optional(Error::of(ErrorCode::bad_client_id));
    case kTlvMessageSizeMax:
      return tlv_number(tlv, syn_ack.message_size_max) ? std::nullopt : std::optional(malformed_tlv(tlv));
    case kTlvFileSizeMax:
      return tlv_number(tlv, syn_ack.file_size_max) ? std::nullopt : std::optional(malformed_tlv(tlv));
    case kTlvReplication:
      syn_ack.replicas = value.u8();
      syn_ack.replicas_sync = value.u8() == 1;
      return value.failed() || syn_ack.replicas == 0 ? std::optional(malformed_tlv(tlv)) : std::nullopt;
    case kTlvUnfinished:
      syn_ack.unfinished = {{value.u64()}, value.u64(), static_cast<MessageKind>(value.u8())};
      if (value.failed()) return malformed_tlv(tlv);
      if (!is_message_kind(static_cast<std::uint8_t>(syn_ack.unfinished->kind)))
        return bad(kTlvUnfinished, "unknown kind of message");
      return std::nullopt;
    case kTlvRefusal:
      syn_ack.refusals.push_back({static_cast<ErrorCode>(value.u16()), {value.u64()}});
      return value.failed() ? std::optional(malformed_tlv(tlv)) : std::nullopt;
    case kTlvSoftware:
      syn_ack.software = as_text(tlv.value.first(std::min(tlv.value.size(), kSoftwareMax)));
      return std::nullopt;
    default:
      if (tlv.is_critical()) return Error::of(ErrorCode::unknown_critical_parameter, tlv.type, tlv_name(tlv.type));
      return std::nullopt;
  }
}

// Reads the parameters to the end of the payload; the first bad one decides.
template <class Message>
std::optional<Error> read_tlvs(ByteReader& reader, Message& message,
                               std::optional<Error> (*read_one)(const Tlv&, Message&)) {
  while (!reader.empty()) {
    const Tlv tlv = take_tlv(reader);
    if (reader.failed()) return malformed("a parameter is cut short");
    if (auto error = read_one(tlv, message)) return error;
  }
  return std::nullopt;
}

}  // namespace

// PROTOCOL §3.2: u8 version_min, u8 version_max, u8 operation_mode, u8 reserved, u32 max_packet_size, u32 window_size,
// u64 attempt, then parameters.
void encode_syn(const Syn& syn, Bytes& out) {
  ByteWriter writer(out);
  writer.u8(syn.version_min);
  writer.u8(syn.version_max);
  writer.u8(static_cast<std::uint8_t>(syn.mode));
  writer.u8(0);
  writer.u32(syn.max_packet_size);
  writer.u32(syn.window_size);
  writer.u64(syn.attempt);
  if (!syn.client_id.empty()) put_tlv(writer, kTlvClientId, as_bytes(syn.client_id));
  put_tlv(writer, kTlvChannel, as_bytes(syn.channel));
  if (syn.kind != MessageKind::text) put_tlv_number(writer, kTlvKind, static_cast<std::uint8_t>(syn.kind));
  if (syn.resume) {
    Bytes value;
    ByteWriter resume(value);
    resume.id(syn.resume->session);
    resume.id(syn.resume->store);
    resume.u64(syn.resume->acknowledged.value);
    resume.u64(syn.resume->acknowledged_bytes);
    resume.u64(syn.resume->acknowledged_messages);
    put_tlv(writer, kTlvResume, value);
  }
  if (syn.refusals_heard > Seq{0}) put_tlv_number(writer, kTlvRefusalsHeard, syn.refusals_heard.value);
  if (!syn.software.empty()) put_tlv(writer, kTlvSoftware, as_bytes(syn.software));
  put_reserved_tlv(writer, syn.attempt);
}

std::variant<Syn, Error> decode_syn(ByteView payload) {
  ByteReader reader(payload);
  Syn syn;
  syn.version_min = reader.u8();
  syn.version_max = reader.u8();
  const std::uint8_t mode = reader.u8();
  reader.u8();
  syn.max_packet_size = reader.u32();
  syn.window_size = reader.u32();
  syn.attempt = reader.u64();
  if (reader.failed()) return malformed("SYN is cut short");
  if (syn.version_min > kVersionMax || syn.version_max < kVersionMin)
    return Error::of(ErrorCode::unsupported_version, kVersionMax,
                     "versions " + std::to_string(syn.version_min) + " to " + std::to_string(syn.version_max));
  if (auto error = check_ranges(syn, mode)) return *error;
  syn.mode = static_cast<OperationMode>(mode);
  if (auto error = read_tlvs(reader, syn, read_syn_tlv)) return *error;
  return syn;
}

// PROTOCOL §3.3: u8 version, u8 operation_mode, u8 durability, u8 outcome, u32 max_packet_size, u32 window_size,
// u32 keep_alive_ms, store id, session id, u64 durable_through, u64 durable_bytes, u64 durable_messages,
// u64 limit_number, u64 limit_bytes, then parameters.
void encode_syn_ack(const SynAck& syn_ack, Bytes& out) {
  ByteWriter writer(out);
  writer.u8(syn_ack.version);
  writer.u8(static_cast<std::uint8_t>(syn_ack.mode));
  writer.u8(static_cast<std::uint8_t>(syn_ack.durability));
  writer.u8(static_cast<std::uint8_t>(syn_ack.outcome));
  writer.u32(syn_ack.max_packet_size);
  writer.u32(syn_ack.window_size);
  writer.u32(syn_ack.keep_alive_ms);
  writer.id(syn_ack.store);
  writer.id(syn_ack.session);
  writer.u64(syn_ack.durable_through.value);
  writer.u64(syn_ack.durable_bytes);
  writer.u64(syn_ack.durable_messages);
  writer.u64(syn_ack.limit_number.value);
  writer.u64(syn_ack.limit_bytes);
  if (!syn_ack.client_id.empty()) put_tlv(writer, kTlvAssignedClientId, as_bytes(syn_ack.client_id));
  if (syn_ack.message_size_max > 0) put_tlv_number(writer, kTlvMessageSizeMax, syn_ack.message_size_max);
  if (syn_ack.file_size_max > 0) put_tlv_number(writer, kTlvFileSizeMax, syn_ack.file_size_max);
  if (syn_ack.durability == Durability::replicated) {
    const std::uint8_t value[] = {syn_ack.replicas, static_cast<std::uint8_t>(syn_ack.replicas_sync ? 1 : 0)};
    put_tlv(writer, kTlvReplication, value);
  }
  if (syn_ack.unfinished) {
    Bytes value;
    ByteWriter unfinished(value);
    unfinished.u64(syn_ack.unfinished->first.value);
    unfinished.u64(syn_ack.unfinished->durable_bytes);
    unfinished.u8(static_cast<std::uint8_t>(syn_ack.unfinished->kind));
    put_tlv(writer, kTlvUnfinished, value);
  }
  for (const Refusal& refusal : syn_ack.refusals) {
    Bytes value;
    ByteWriter one(value);
    one.u16(static_cast<std::uint16_t>(refusal.code));
    one.u64(refusal.first.value);
    put_tlv(writer, kTlvRefusal, value);
  }
  if (!syn_ack.software.empty()) put_tlv(writer, kTlvSoftware, as_bytes(syn_ack.software));
  put_reserved_tlv(writer, syn_ack.durable_through.value);
}

std::variant<SynAck, Error> decode_syn_ack(ByteView payload) {
  ByteReader reader(payload);
  SynAck syn_ack;
  syn_ack.version = reader.u8();
  const std::uint8_t mode = reader.u8();
  const std::uint8_t durability = reader.u8();
  const std::uint8_t outcome = reader.u8();
  syn_ack.max_packet_size = reader.u32();
  syn_ack.window_size = reader.u32();
  syn_ack.keep_alive_ms = reader.u32();
  syn_ack.store = reader.id();
  syn_ack.session = reader.id();
  syn_ack.durable_through = {reader.u64()};
  syn_ack.durable_bytes = reader.u64();
  syn_ack.durable_messages = reader.u64();
  syn_ack.limit_number = {reader.u64()};
  syn_ack.limit_bytes = reader.u64();
  if (reader.failed()) return malformed("SYN-ACK is cut short");
  if (syn_ack.version < kVersionMin || syn_ack.version > kVersionMax)
    return Error::of(ErrorCode::unsupported_version, kVersionMax, "version " + std::to_string(syn_ack.version));
  if (!is_mode(mode) || outcome > static_cast<std::uint8_t>(SynAck::Outcome::restarted))
    return malformed("SYN-ACK has an unknown mode or outcome");
  syn_ack.durability = static_cast<Durability>(durability);
  syn_ack.replicas_sync = syn_ack.durability == Durability::fsync;
  if (durability < 1 || durability > 2 || syn_ack.max_packet_size < kPacketSizeMin ||
      syn_ack.max_packet_size > kPacketSizeMax || syn_ack.window_size < 1 || syn_ack.window_size > kWindowMax ||
      syn_ack.keep_alive_ms == 0)
    return malformed("SYN-ACK has a value outside its range");
  syn_ack.mode = static_cast<OperationMode>(mode);
  syn_ack.outcome = static_cast<SynAck::Outcome>(outcome);
  if (auto error = read_tlvs(reader, syn_ack, read_syn_ack_tlv)) return *error;
  return syn_ack;
}

bool meets(const SynAck& terms, Require required) {
  switch (required) {
    case Require::any: return true;
    case Require::fsync: return terms.durability == Durability::fsync || terms.replicas_sync;
    case Require::replicated: return terms.durability == Durability::replicated && terms.replicas > 1;
  }
  return false;
}

std::string durability_text(const SynAck& terms) {
  if (terms.durability == Durability::fsync) return "fsync";
  return (terms.replicas > 1 ? "replicated to " + std::to_string(terms.replicas) + " servers" : "on 1 server") +
         (terms.replicas_sync ? ", synced" : ", not synced");
}

void encode_confirmation(const Confirmation& confirmation, Bytes& out) {
  ByteWriter writer(out);
  writer.id(confirmation.session);
  if (confirmation.closed_at) writer.u64(confirmation.closed_at->value);
}

std::optional<Confirmation> decode_confirmation(ByteView payload) {
  if (payload.size() != kIdSize && payload.size() != kIdSize + 8) return std::nullopt;
  ByteReader reader(payload);
  Confirmation confirmation{reader.id(), std::nullopt};
  if (payload.size() > kIdSize) confirmation.closed_at = Seq{reader.u64()};
  return confirmation;
}

}  // namespace cproto
