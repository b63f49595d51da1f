#include "proto/error.h"

#include <algorithm>

namespace cproto {

namespace {
using C = ErrorCode;
using K = ErrorClass;
constexpr std::size_t kSentenceMax = 1024;

bool continues_character(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

// At most `size` bytes of `text`, cut between two characters of UTF-8. What is no UTF-8 is cut where it comes.
std::string_view cut_text(std::string_view text, std::size_t size) {
  if (text.size() <= size) return text;
  constexpr std::size_t kLongest = 4;  // bytes of one character
  std::size_t end = size;
  while (end > 0 && size - end < kLongest - 1 && continues_character(text[end])) --end;
  return text.substr(0, continues_character(text[end]) ? size : end);
}

}  // namespace

const std::array<ErrorEntry, 50> kErrors{{
    {C::bad_checksum, K::retry_now, "bad_checksum", "a frame arrived damaged; send again from this number"},
    {C::framing_lost, K::retry_now, "framing_lost", "too many damaged frames; connect again and resume"},
    {C::frame_too_large, K::retry_now, "frame_too_large", "the frame is larger than was agreed"},
    {C::malformed_frame, K::go_away, "malformed_frame", "the frame's payload cannot be read"},
    {C::unexpected_frame, K::go_away, "unexpected_frame", "this frame makes no sense here"},
    {C::unsupported_version, K::go_away, "unsupported_version", "no version of the protocol in common"},
    {C::unknown_critical_parameter, K::go_away, "unknown_critical_parameter",
     "a parameter that must be understood is not"},
    {C::bad_parameter, K::go_away, "bad_parameter", "a parameter is outside its range"},
    {C::bad_client_id, K::go_away, "bad_client_id",
     "a client id has 1 to 64 of A-Z a-z 0-9 . _ - and does not begin with . or -"},
    {C::bad_channel, K::go_away, "bad_channel",
     "a channel has 1 to 64 of A-Z a-z 0-9 . _ - and does not begin with . or -"},
    {C::unknown_session, K::never_session, "unknown_session", "no such session here"},
    {C::other_store, K::never_session, "other_store", "this is not the store the session belongs to"},
    {C::store_behind, K::never_session, "store_behind", "the store is older than what it acknowledged"},
    {C::stale_attempt, K::retry_now, "stale_attempt", "a newer connection has this session"},
    {C::superseded, K::go_away, "superseded", "a newer connection took this session over"},
    {C::handshake_timeout, K::retry_now, "handshake_timeout", "the handshake took too long"},
    {C::bad_message_order, K::never_session, "bad_message_order", "an order of frames that makes no message"},
    {C::message_too_large, K::never_message, "message_too_large", "the message is larger than is taken here"},
    {C::kind_not_accepted, K::never_message, "kind_not_accepted", "messages of this kind are not taken here"},
    {C::number_out_of_window, K::never_session, "number_out_of_window", "a number beyond the window"},
    {C::peer_silent, K::retry_now, "peer_silent", "nothing was heard for three keep-alive intervals"},
    {C::too_many_connections, K::retry_after, "too_many_connections", "too many connections"},
    {C::shutting_down, K::retry_after, "shutting_down", "the server is stopping or restarting"},
    {C::disk_full, K::retry_after, "disk_full", "the server's disk is full or below its floor"},
    {C::disk_failed, K::retry_after, "disk_failed", "the server's disk failed; nothing is acknowledged"},
    {C::wrong_session, K::never_session, "wrong_session", "the confirmation names another session"},
    {C::too_many_refusals, K::retry_now, "too_many_refusals",
     "too many refusals not yet shown to be known; connect again"},
    {C::frame_lost, K::retry_now, "frame_lost", "a frame did not arrive on a transport that loses none"},
    {C::too_many_clients, K::retry_after, "too_many_clients", "the server knows as many clients as it may"},
    {C::too_many_channels, K::retry_after, "too_many_channels", "the client has as many channels as it may"},
    {C::kicked, K::retry_after, "kicked", "an operator of the server ended the connection"},
    {C::bad_file_name, K::never_message, "bad_file_name",
     "a file's name has 1 to 255 bytes, no slash, no control bytes, and is neither . nor .."},
    {C::file_differs, K::never_message, "file_differs", "the file's bytes are not those that were announced"},
    {C::no_space_for_file, K::never_message, "no_space_for_file", "the file does not fit on the server's disk"},
    {C::inbox_full, K::retry_after, "inbox_full", "the client's inbox is as large as it may be"},
    {C::message_forgotten, K::never_message, "message_forgotten",
     "the half-sent message was let go: its client did not come back for too long"},
    {C::inbox_blocked, K::retry_after, "inbox_blocked",
     "the client's inbox cannot be written, and much waits for that"},
    {C::overloaded, K::retry_after, "overloaded", "the server has received as much as it may hold"},
    {C::tls_required, K::go_away, "tls_required", "only TLS is taken here"},
    {C::identity_required, K::go_away, "identity_required", "neither a key nor a certificate says who this is"},
    {C::wrong_identity, K::go_away, "wrong_identity", "the key or the certificate belongs to another client"},
    {C::identity_gone, K::go_away, "identity_gone", "the key or the certificate is not taken any more"},
    {C::address_not_allowed, K::go_away, "address_not_allowed", "the client may not come from this address"},
    {C::files_not_allowed, K::go_away, "files_not_allowed", "the client may not send files"},
    {C::channel_not_allowed, K::go_away, "channel_not_allowed", "the client may not send to this channel"},
    {C::stream_away, K::retry_after, "stream_away", "the stream that keeps the messages cannot be used"},
    {C::stream_full, K::retry_after, "stream_full", "the stream that keeps the messages is full"},
    {C::written_elsewhere, K::retry_now, "written_elsewhere", "another server has written to this session"},
    {C::files_not_taken, K::go_away, "files_not_taken", "this server keeps messages in a stream and takes no files"},
    {C::not_durable_enough, K::go_away, "not_durable_enough",
     "what the server calls durable is less than the client requires"},
}};

const ErrorEntry* find_error(ErrorCode code) {
  const auto* it = std::find_if(kErrors.begin(), kErrors.end(), [&](const ErrorEntry& e) { return e.code == code; });
  return it == kErrors.end() ? nullptr : it;
}

std::string error_name(ErrorCode code) {
  if (const ErrorEntry* entry = find_error(code)) return std::string(entry->name);
  return "error " + std::to_string(static_cast<unsigned>(code));
}

Error Error::of(ErrorCode code, std::uint64_t number, std::string_view detail) {
  Error error;
  error.code = code;
  error.number = number;
  if (const ErrorEntry* entry = find_error(code)) {
    error.error_class = entry->error_class;
    error.sentence = entry->sentence;
  }
  if (!detail.empty()) error.sentence.append(": ").append(detail);
  return error;
}

Error Error::retry_after(ErrorCode code, Duration after) {
  Error error = of(code);
  error.error_class = ErrorClass::retry_after;
  error.retry_after_ms =
      static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(after).count());
  return error;
}

// PROTOCOL §6.4: u16 code, u8 class, u8 reserved, u32 retry_after_ms, u64 number, then UTF-8.
void encode_error(const Error& error, Bytes& out) {
  ByteWriter writer(out);
  writer.u16(static_cast<std::uint16_t>(error.code));
  writer.u8(static_cast<std::uint8_t>(error.error_class));
  writer.u8(0);
  writer.u32(error.retry_after_ms);
  writer.u64(error.number);
  writer.bytes(as_bytes(cut_text(error.sentence, kSentenceMax)));
}

std::optional<Error> decode_error(ByteView payload) {
  ByteReader reader(payload);
  Error error;
  error.code = static_cast<ErrorCode>(reader.u16());
  const std::uint8_t raw_class = reader.u8();
  error.error_class =
      raw_class <= static_cast<std::uint8_t>(K::go_away) ? static_cast<ErrorClass>(raw_class) : K::go_away;
  reader.u8();
  error.retry_after_ms = reader.u32();
  error.number = reader.u64();
  if (reader.failed()) return std::nullopt;
  error.sentence = as_text(reader.rest());
  return error;
}

}  // namespace cproto
