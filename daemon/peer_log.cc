#include "daemon/peer_log.h"

#include <algorithm>

#include "config/units.h"
#include "config/wording.h"
#include "daemon/session_name.h"

namespace cproto {

namespace {

// A session that lasts longer is said when it began, too.
constexpr Duration kLasting = 60s;

bool looks_like_http(std::string_view first) {
  for (const char* method : {"GET ", "POST ", "HEAD ", "PUT ", "OPTIONS ", "CONNECT ", "DELETE ", "PRI * HTTP"})
    if (first.starts_with(std::string_view(method).substr(0, first.size())) && first.size() >= 4) return true;
  return false;
}

}  // namespace

std::string_view host_of(std::string_view address) {
  const std::string_view host = address.substr(0, address.rfind(':'));
  return host.starts_with('[') ? host.substr(1, host.size() - 2) : host;
}

void PeerLog::write(Severity severity, LogEvent event, const std::string& line, const SessionEntry& entry,
                    ErrorCode error) const {
  const std::string session = short_name(entry.id);
  const std::string error_text = error == ErrorCode::none ? "" : error_name(error);
  log_.write(
      severity, event, line,
      {.client = entry.client_id, .session = session, .peer = address_, .channel = entry.channel, .error = error_text});
}

// --- strangers ---

void PeerLog::on_input(ByteView input) {
  has_said_something_ = true;
  const std::size_t count = std::min(input.size(), first_bytes_.size() - first_bytes_count_);
  std::copy_n(input.begin(), count, first_bytes_.begin() + first_bytes_count_);
  first_bytes_count_ = static_cast<std::uint8_t>(first_bytes_count_ + count);
}

void PeerLog::on_stranger(const Error& error, const std::string& more) {
  const bool is_known = error.code != ErrorCode::none;
  const std::string code = is_known ? error_name(error.code) : "";
  const LogFields fields{.peer = address_, .error = code};
  const auto say = [&](const std::string& what) { log_.info(LogEvent::not_a_client, address_ + what + more, fields); };
  if (!has_said_something_ && !is_known) return log_.debug(address_ + " connected and closed without a word", fields);
  if (!has_said_something_) return say(" connected and said nothing; closed");
  if (looks_like_http({first_bytes_.data(), first_bytes_count_})) return say(" speaks HTTP, not cproto; closed");
  if (first_bytes_[0] == 0x16) return say(" speaks TLS, which is not configured here; closed");
  if (!is_known) return say(" went away in the handshake");
  if (error.code == ErrorCode::tls_required)
    return say(" speaks plain text, and [tls] is on here (allow_plain lets it in); closed");
  if (error.code == ErrorCode::not_durable_enough)
    return say(" asks for more than is behind an acknowledgement here (not_durable_enough); closed");
  say(" is no client: " + code + ", " + printable(error.sentence) + "; closed");
}

void PeerLog::on_tls_failed(const std::string& why, const std::string& more) {
  log_.info(LogEvent::not_a_client, address_ + ": TLS fails: " + why + "; closed" + more, {.peer = address_});
}

void PeerLog::on_refused(const Syn& syn, const Error& error, std::uint64_t times, const std::string& more) {
  const std::string code = error_name(error.code);
  log_.warn(LogEvent::client_refused,
            (syn.client_id.empty() ? "a client" : syn.client_id) + " (" + address_ + ") is refused: " + code + ", " +
                error.sentence + (times > 1 ? " (" + grouped(times) + " times since it was last said)" : "") + more,
            {.client = syn.client_id, .peer = address_, .channel = syn.channel, .error = code});
}

// --- clients ---

void PeerLog::on_admitted(const SessionEntry& entry, const SynAck& terms) {
  begin_through_ = entry.received.through;
  begin_bytes_ = entry.received.bytes;
  begin_messages_ = entry.received.messages;
  is_resumed_ = terms.outcome == SynAck::Outcome::resumed;
  mode_ = terms.mode;
  window_size_ = terms.window_size;
  max_packet_size_ = terms.max_packet_size;
}

// "burst, window 32,767, packets to 64KiB"
std::string PeerLog::terms() const {
  return std::string(mode_ == OperationMode::burst ? "burst" : "step-by-step") + ", window " + grouped(window_size_) +
         ", packets to " + format_size(max_packet_size_);
}

void PeerLog::on_restarted(const SessionEntry& entry) {
  write(Severity::warn, LogEvent::session_restarted,
        name(entry) + ": its session is not known here; going on behind number " + grouped(begin_through_.value) +
            ". What was acknowledged before may be missing, or there twice",
        entry);
}

void PeerLog::on_opened(const SessionEntry& entry) {
  if (!is_resumed_) return;
  write(Severity::info, LogEvent::connection_regained,
        name(entry) + " session " + short_name(entry.id) + " goes on behind " +
            counted(begin_messages_, {"message", "messages"}) + " (" + terms() + ")",
        entry);
}

void PeerLog::on_turn(Instant now, const SessionEntry& entry) {
  if (has_lasted_ || is_resumed_ || now - since_ < kLasting) return;
  has_lasted_ = true;
  write(Severity::info, LogEvent::session_began,
        name(entry) + " session " + short_name(entry.id) + " has lasted a minute (" + terms() + ", channel " +
            entry.channel + "): " + counted(entry.received.messages, {"message", "messages"}) + " so far",
        entry);
}

void PeerLog::on_message_refused(Instant now, const SessionEntry& entry, ErrorCode code) {
  if (!refused_messages_) refused_messages_ = std::make_unique<Repeats>();
  if (const auto more = refused_messages_->note(now))
    write(Severity::warn, LogEvent::message_refused,
          name(entry) + ": a message was refused (" + error_name(code) + ")" + *more, entry, code);
}

void PeerLog::on_superseded(const SessionEntry& entry) {
  write(Severity::info, LogEvent::connection_taken_over,
        name(entry) + ": a newer connection took session " + short_name(entry.id) + " over", entry);
}

void PeerLog::on_waiting_too_long(const SessionEntry& entry) {
  write(Severity::warn, LogEvent::connection_lost,
        name(entry) + " comes back, but what it sent before is not on disk yet; closed, it will try again", entry,
        ErrorCode::handshake_timeout);
}

void PeerLog::on_closed(Instant now, const SessionEntry& entry, Disconnect::End end) {
  write(Severity::info, LogEvent::session_ended,
        account(now, entry) + (end == Disconnect::End::finish ? "finished" : "paused"), entry);
}

void PeerLog::on_lost(Instant now, const SessionEntry& entry, const Error& error, bool is_remote) {
  // What the other side says may be anything.
  const std::string known = error_name(error.code) + ", " + printable(error.sentence);
  const std::string how = error.code == ErrorCode::none ? "connection lost"
                          : is_remote                   ? "the client: " + known
                                                        : known;
  write(Severity::info, LogEvent::connection_lost, account(now, entry) + how, entry, error.code);
}

std::string PeerLog::account(Instant now, const SessionEntry& entry) const {
  return name(entry) + " session " + short_name(entry.id) + " (" + terms() +
         "): " + counted(entry.received.messages - begin_messages_, {"message", "messages"}) + ", " +
         human_bytes(entry.received.bytes - begin_bytes_) + " in " + human_time(now - since_) + "; ";
}

}  // namespace cproto
