#include "client/trouble.h"

#include <uv.h>

#include <algorithm>
#include <cctype>

#include "client/wording.h"
#include "proto/codec.h"
#include "proto/frame.h"
#include "proto/options.h"

namespace cproto::client {

namespace {

constexpr std::size_t kGreetingShown = 60;
constexpr std::size_t kTypeEnd = 5;  // a frame begins with its length and its type

// How long to leave alone a server that does not know what it should.
constexpr Duration kStrangePause = 5s;

std::string lowered(std::string text) {
  if (text.size() > 1 && std::islower(static_cast<unsigned char>(text[1])) != 0)
    text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  return text;
}

std::string short_reason(int error) {
  if (error == UV_ETIMEDOUT) return "no answer in 5 s";
  return lowered(uv_strerror(error));
}

std::string advice(int error) {
  if (error == UV_ECONNREFUSED) return "; is cprotod running, and does it listen on this address?";
  if (error == UV_ETIMEDOUT) return " (a firewall?)";
  return "";
}

std::string lookup_reason(const Unreachable& unreachable) {
  if (unreachable.is_unknown_host()) return "no such host name";
  if (unreachable.lookup_error == UV_EAI_AGAIN) return "the name service does not answer";
  return "the name cannot be looked up: " + lowered(uv_strerror(unreachable.lookup_error));
}

bool is_store_lost(ErrorCode code) {
  return code == ErrorCode::unknown_session || code == ErrorCode::other_store || code == ErrorCode::store_behind;
}

// What ends a command whatever its timeout.
Status final_status(ErrorCode code) {
  static constexpr ErrorCode kNotPermitted[] = {
      ErrorCode::bad_client_id,     ErrorCode::bad_channel,         ErrorCode::identity_required,
      ErrorCode::wrong_identity,    ErrorCode::identity_gone,       ErrorCode::address_not_allowed,
      ErrorCode::files_not_allowed, ErrorCode::channel_not_allowed,
  };
  if (std::ranges::find(kNotPermitted, code) != std::end(kNotPermitted)) return Status::no_permission;
  return code == ErrorCode::superseded ? Status::temp_fail : Status::protocol;
}

void judge(const Error& error, Trouble& trouble) {
  switch (error.error_class) {
    case ErrorClass::retry_now:
      // A session that never reached the disk is begun anew.
      trouble.comes_back_at_once =
          error.code == ErrorCode::too_many_refusals || error.code == ErrorCode::unknown_session;
      return;
    case ErrorClass::retry_after:
      trouble.status = Status::temp_fail;
      trouble.pause = std::chrono::milliseconds(error.retry_after_ms);
      return;
    case ErrorClass::never_message:
      trouble.status = Status::data_error;
      trouble.is_final = true;
      return;
    case ErrorClass::never_session:
      trouble.status = Status::protocol;
      trouble.is_final = !is_store_lost(error.code);
      trouble.pause = trouble.is_final ? Duration(0) : kStrangePause;
      return;
    case ErrorClass::go_away:
      trouble.status = final_status(error.code);
      trouble.is_final = true;
      return;
  }
}

// PROTOCOL §12.1.
std::optional<Error> said_in_plain(const TlsTrouble& tls) {
  Decoder decoder(Transport::stream);
  decoder.feed(tls.plain);
  const Decoder::Result result = decoder.next();
  if (result.status != Decoder::Status::frame || result.frame.type != FrameType::error) return std::nullopt;
  return decode_error(result.frame.payload);
}

}  // namespace

std::string place(const ServerAddress& server, const std::string& address) {
  if (address.empty() || address == server.host) return to_string(server);
  return to_string(server) + " (" + address + ")";
}

Trouble unreachable(const ServerAddress& server, const Unreachable& unreachable) {
  Trouble trouble;
  if (unreachable.is_shortage()) trouble.status = Status::os_error;
  const auto& attempts = unreachable.attempts;
  if (attempts.empty()) {
    trouble.where = to_string(server);
    trouble.reason = lookup_reason(unreachable);
    if (unreachable.is_unknown_host()) trouble.status = Status::no_host;
    trouble.sentence = server.host + ": " + trouble.reason;
    return trouble;
  }
  const int error = attempts.back().error;
  const bool are_alike =
      std::all_of(attempts.begin(), attempts.end(), [&](const auto& attempt) { return attempt.error == error; });
  std::string addresses;
  for (const auto& attempt : attempts) {
    addresses += (addresses.empty() ? "" : are_alike ? ", " : "; ") + attempt.address;
    if (!are_alike) addresses += ": " + short_reason(attempt.error);
  }
  trouble.where = place(server, addresses);
  trouble.reason = short_reason(error);
  trouble.sentence = trouble.where + ": " + (are_alike ? trouble.reason + advice(error) : "not reached");
  return trouble;
}

Trouble lost(const std::string& where, const std::string& reason, bool was_established) {
  Trouble trouble;
  trouble.where = where;
  trouble.reason = lowered(reason);
  trouble.sentence = where + (was_established ? ": connection lost (" : ": no handshake (") + trouble.reason + ")";
  return trouble;
}

Trouble tls_failed(const std::string& where, const TlsTrouble& tls, bool was_established) {
  using Kind = TlsTrouble::Kind;
  if (const auto error = said_in_plain(tls); error && error->error_class == ErrorClass::retry_after)
    return failed(where, *error, true, nullptr);
  // They knew each other: what came then was damaged on the way.
  if (was_established) return lost(where, "TLS: " + tls.detail, true);
  Trouble trouble;
  trouble.where = where;
  trouble.is_final = true;
  trouble.status = Status::no_permission;
  switch (tls.kind) {
    case Kind::not_tls:
      trouble.status = Status::protocol;
      trouble.reason = "it does not speak TLS; is [tls] set up there?";
      break;
    case Kind::old_version:
      trouble.status = Status::protocol;
      trouble.reason = "it does not speak TLS 1.3";
      break;
    case Kind::key_unknown:
      trouble.reason = "it does not know this key; there, \"cprotoctl key list\" shows the keys it knows";
      break;
    case Kind::unknown_authority:
      trouble.reason =
          "nobody who is believed here has signed its certificate (" + tls.detail + "); --ca FILE says whom to believe";
      break;
    case Kind::name_mismatch:
      trouble.reason = "its certificate is for another name; --server-name NAME says for which it should be";
      break;
    case Kind::expired: trouble.reason = "its certificate has expired"; break;
    case Kind::not_yet_valid: trouble.reason = "its certificate is not valid yet; does this clock go right?"; break;
    case Kind::refused: trouble.reason = "it refuses the certificate of this client (" + tls.detail + ")"; break;
    case Kind::none:
    case Kind::closed:
    case Kind::failed: return lost(where, "TLS: " + tls.detail, was_established);
  }
  trouble.sentence = where + ": " + trouble.reason;
  return trouble;
}

Trouble failed(const std::string& where, const Error& error, bool is_remote, const StoreId* store) {
  Trouble trouble;
  trouble.where = where;
  trouble.is_said = is_remote;
  trouble.reason = error.sentence.empty() ? error_name(error.code) : printable(error.sentence);
  judge(error, trouble);
  if (error.code == ErrorCode::handshake_timeout && !is_remote) trouble.reason = "connected, but no SYN-ACK in 10 s";
  trouble.sentence = where + (is_remote ? " says: " : ": ") + trouble.reason;
  if (error.code == ErrorCode::tls_required)
    trouble.sentence += "; --key FILE, with what \"cprotoctl key add NAME\" prints there, or --ca FILE";
  if (!is_store_lost(error.code) || error.error_class != ErrorClass::never_session) return trouble;
  if (store != nullptr) trouble.sentence += "; this transfer belongs to store " + short_id(*store);
  trouble.sentence += ". Is its disk mounted? Nothing was sent";
  return trouble;
}

Trouble not_cproto(const std::string& where, ByteView greeting) {
  Trouble trouble;
  trouble.where = where;
  trouble.status = Status::protocol;
  const std::string_view text = as_text(greeting);
  const std::string line = printable(text.substr(0, text.find_first_of("\r\n")), kGreetingShown);
  const bool is_tls = greeting.size() >= 2 && greeting[0] == 0x15 && greeting[1] == 0x03;
  trouble.reason = is_tls ? "it wants TLS" : "it says \"" + line + "\"";
  trouble.sentence = where + " does not speak cproto" + (is_tls ? " in the clear: " : ": ") + trouble.reason;
  return trouble;
}

// PROTOCOL §2. Before the handshake is complete a server can only send SYN-ACK and ERROR, and neither is long.
bool looks_like_cproto(ByteView greeting) {
  Bytes header(greeting.begin(), greeting.begin() + static_cast<std::ptrdiff_t>(std::min(greeting.size(), kTypeEnd)));
  const bool has_type = header.size() == kTypeEnd;
  header.resize(kTypeEnd);
  const auto type = static_cast<FrameType>(header[4]);
  return load_be<std::uint32_t>(header.data()) <= kHandshakePayloadMax &&
         (!has_type || type == FrameType::syn_ack || type == FrameType::error);
}

}  // namespace cproto::client
