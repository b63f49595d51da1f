// The registry of errors (PROTOCOL §8): what an ERROR frame can say, what class of consequence it has, and its sentence
// for people. One table; the document's table is compared with it by a test.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proto/bytes.h"
#include "proto/seq.h"
#include "proto/time.h"

namespace cproto {

enum class ErrorCode : std::uint16_t {
  none = 0,
  bad_checksum = 1,
  framing_lost = 2,
  frame_too_large = 3,
  malformed_frame = 4,
  unexpected_frame = 5,
  unsupported_version = 6,
  unknown_critical_parameter = 7,
  bad_parameter = 8,
  bad_client_id = 9,
  bad_channel = 10,
  unknown_session = 11,
  other_store = 12,
  store_behind = 13,
  stale_attempt = 14,
  superseded = 15,
  handshake_timeout = 16,
  bad_message_order = 17,
  message_too_large = 18,
  kind_not_accepted = 19,
  number_out_of_window = 20,
  peer_silent = 21,
  too_many_connections = 22,
  shutting_down = 23,
  disk_full = 24,
  disk_failed = 25,
  wrong_session = 26,
  too_many_refusals = 27,
  frame_lost = 28,
  too_many_clients = 29,
  too_many_channels = 30,
  kicked = 31,
  bad_file_name = 32,
  file_differs = 33,
  no_space_for_file = 34,
  inbox_full = 35,
  message_forgotten = 36,
  inbox_blocked = 37,
  overloaded = 38,
  tls_required = 39,
  identity_required = 40,
  wrong_identity = 41,
  identity_gone = 42,
  address_not_allowed = 43,
  files_not_allowed = 44,
  channel_not_allowed = 45,
  stream_away = 46,
  stream_full = 47,
  written_elsewhere = 48,
  files_not_taken = 49,
  not_durable_enough = 50,
};

// What the one who hears an error does about it.
enum class ErrorClass : std::uint8_t {
  retry_now = 0,      // resend, or connect again and resume
  retry_after = 1,    // the same, but not before retry_after_ms
  never_message = 2,  // this message will never be taken; the session goes on
  never_session = 3,  // this session cannot go on; another one might
  go_away = 4,        // nothing this peer does in this way will be taken
};

struct ErrorEntry {
  ErrorCode code;
  ErrorClass error_class;
  std::string_view name;      // as in PROTOCOL §8 and in logs
  std::string_view sentence;  // for people
};

// All codes but `none`, in the order of their numbers.
extern const std::array<ErrorEntry, 50> kErrors;

// The registry's entry, or nullptr for a code of a later version.
const ErrorEntry* find_error(ErrorCode code);
// The name, or "error N" for a code this version does not know.
std::string error_name(ErrorCode code);

// PROTOCOL §6.4. The payload of an ERROR frame.
struct Error {
  ErrorCode code = ErrorCode::none;
  ErrorClass error_class = ErrorClass::retry_now;
  std::uint32_t retry_after_ms = 0;
  std::uint64_t number = 0;  // of the frame, message or parameter concerned; 0 where none is
  std::string sentence;

  // The registry's class and sentence; `detail`, where given, follows the sentence after a colon.
  static Error of(ErrorCode code, std::uint64_t number = 0, std::string_view detail = {});
  // The same with the time after which to come back.
  static Error retry_after(ErrorCode code, Duration after);
};

// A refusal of one message (PROTOCOL §4.6): `first` is the number the message began with.
struct Refusal {
  ErrorCode code = ErrorCode::none;
  Seq first;
  bool operator==(const Refusal&) const = default;
};

void encode_error(const Error& error, Bytes& out);
// nullopt if the fixed part is cut short. An unknown code keeps the class that came with it; an unknown class is
// go_away.
std::optional<Error> decode_error(ByteView payload);

}  // namespace cproto
