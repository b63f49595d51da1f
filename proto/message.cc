#include "proto/message.h"

#include <algorithm>

#include "proto/tlv.h"

namespace cproto {

namespace {

MessageStep begin_with_header(MessageState& state, Seq seq, MessageKind kind) {
  if (kind == MessageKind::none) {
    if (!state.is_begun) return MessageStep::breaks;
    state = {};
    return MessageStep::abandoned;
  }
  if (state.is_begun)  // PROTOCOL §4.7: a file's digest
    return kind == MessageKind::file && state.kind == kind ? MessageStep::goes_on : MessageStep::breaks;
  state = {.is_begun = true, .is_refused = false, .kind = kind, .first = seq, .bytes = 0};
  return MessageStep::goes_on;
}

}  // namespace

// PROTOCOL §4.4: u8 kind, u8 and u16 reserved, then parameters.
void encode_message_header(const MessageHeader& header, Bytes& out) {
  ByteWriter writer(out);
  writer.u8(static_cast<std::uint8_t>(header.kind));
  writer.u8(0);
  writer.u16(0);
  if (!header.channel.empty()) put_tlv(writer, kTlvMessageChannel, as_bytes(header.channel));
  if (!header.file.name.empty()) put_tlv(writer, kTlvFileName, as_bytes(header.file.name));
  if (header.file.size) put_tlv_number(writer, kTlvFileSize, *header.file.size);
  if (header.file.mode) put_tlv_number(writer, kTlvFileMode, *header.file.mode);
  if (header.file.mtime) {
    Bytes value;
    ByteWriter mtime(value);
    mtime.u64(static_cast<std::uint64_t>(header.file.mtime->seconds));
    mtime.u32(header.file.mtime->nanoseconds);
    put_tlv(writer, kTlvFileMtime, value);
  }
  if (header.digest) put_tlv(writer, kTlvFileDigest, *header.digest);
}

namespace {

constexpr std::uint32_t kNanoseconds = 1'000'000'000;

Error bad_parameter(const Tlv& tlv) { return Error::of(ErrorCode::bad_parameter, 0, tlv_name(tlv.type)); }

std::optional<Error> read_mtime(const Tlv& tlv, MessageHeader& header) {
  ByteReader value(tlv.value);
  FileDescription::Time time;
  time.seconds = static_cast<std::int64_t>(value.u64());
  time.nanoseconds = value.u32();
  if (value.failed() || !value.empty() || time.nanoseconds >= kNanoseconds) return bad_parameter(tlv);
  header.file.mtime = time;
  return std::nullopt;
}

// A name that is none is not said here: its file is refused, and the session goes on (PROTOCOL §4.7).
std::optional<Error> read_file_tlv(const Tlv& tlv, MessageHeader& header) {
  switch (tlv.type) {
    case kTlvFileName: header.file.name = as_text(tlv.value); return std::nullopt;
    case kTlvFileSize:
      if (!tlv_number(tlv, header.file.size.emplace())) return bad_parameter(tlv);
      return std::nullopt;
    case kTlvFileMode:
      if (!tlv_number(tlv, header.file.mode.emplace())) return bad_parameter(tlv);
      return std::nullopt;
    case kTlvFileMtime: return read_mtime(tlv, header);
    case kTlvFileDigest:
      if (tlv.value.size() != sizeof(Digest)) return bad_parameter(tlv);
      std::copy(tlv.value.begin(), tlv.value.end(), header.digest.emplace().begin());
      return std::nullopt;
    default:
      if (tlv.is_critical()) return Error::of(ErrorCode::unknown_critical_parameter, tlv.type, tlv_name(tlv.type));
      return std::nullopt;
  }
}

}  // namespace

std::variant<MessageHeader, Error> decode_message_header(ByteView payload) {
  ByteReader reader(payload);
  const std::uint8_t kind = reader.u8();
  reader.u8();
  reader.u16();
  if (reader.failed()) return Error::of(ErrorCode::malformed_frame, 0, "HEADER is cut short");
  if (kind > static_cast<std::uint8_t>(MessageKind::file))
    return Error::of(ErrorCode::malformed_frame, 0, "HEADER of an unknown kind of message");
  MessageHeader header;
  header.kind = static_cast<MessageKind>(kind);
  while (!reader.empty()) {
    const Tlv tlv = take_tlv(reader);
    if (reader.failed()) return Error::of(ErrorCode::malformed_frame, 0, "a parameter of HEADER is cut short");
    if (tlv.type == kTlvMessageChannel) {
      header.channel = as_text(tlv.value);
      if (!is_valid_name(header.channel)) return Error::of(ErrorCode::bad_channel);
    } else if (auto error = read_file_tlv(tlv, header)) {
      return *error;
    }
  }
  return header;
}

MessageStep advance(MessageState& state, FrameType type, Seq seq, std::size_t payload_size, MessageKind default_kind,
                    MessageKind kind) {
  if (type == FrameType::header) return begin_with_header(state, seq, kind);
  if (type == FrameType::data) {
    state = {};
    return MessageStep::ends;
  }
  if (!state.is_begun) state = {.is_begun = true, .is_refused = false, .kind = default_kind, .first = seq, .bytes = 0};
  state.bytes += payload_size;
  return MessageStep::goes_on;
}

}  // namespace cproto
