// What is said of one connection: a line when a session ends, one more if it lasts, one for each connection lost and
// regained, one a minute for messages refused, and at most one for whoever never became a client. `journalctl
// CPROTO_CLIENT=…` tells a client's story from these.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "daemon/log.h"
#include "daemon/repeats.h"
#include "daemon/session_registry.h"
#include "proto/bytes.h"
#include "proto/error.h"
#include "proto/handshake.h"
#include "proto/time.h"

namespace cproto {

class PeerLog {
 public:
  // `address` is the peer's, "192.0.2.9:51234".
  PeerLog(Instant now, Log& log, std::string address) : log_(log), address_(std::move(address)), since_(now) {}

  const std::string& address() const { return address_; }
  Instant since() const { return since_; }

  // --- strangers ---
  // Its first bytes tell what it is, should it be no client.
  void on_input(ByteView input);
  bool has_said_something() const { return has_said_something_; }
  // `more` goes behind the line (Repeats); `times`: of this client, since it was last said.
  void on_stranger(const Error& error, const std::string& more);
  void on_refused(const Syn& syn, const Error& error, std::uint64_t times, const std::string& more);

  // --- clients ---
  // The SYN was heard and the session is this connection's.
  void on_admitted(const SessionEntry& entry, const SynAck& terms);
  void on_tls_failed(const std::string& why, const std::string& more);
  void on_restarted(const SessionEntry& entry);
  void on_opened(const SessionEntry& entry);
  // Call now and then.
  void on_turn(Instant now, const SessionEntry& entry);
  void on_message_refused(Instant now, const SessionEntry& entry, ErrorCode code);
  void on_superseded(const SessionEntry& entry);
  void on_waiting_too_long(const SessionEntry& entry);
  // The close of PROTOCOL §7.
  void on_closed(Instant now, const SessionEntry& entry, Disconnect::End end);
  // Anything else. `error` none: the connection broke.
  void on_lost(Instant now, const SessionEntry& entry, const Error& error, bool is_remote);

 private:
  std::string name(const SessionEntry& entry) const { return entry.client_id + " (" + address_ + ")"; }
  std::string terms() const;
  std::string account(Instant now, const SessionEntry& entry) const;
  void write(Severity severity, LogEvent event, const std::string& line, const SessionEntry& entry,
             ErrorCode error = ErrorCode::none) const;

  Log& log_;
  std::string address_;
  Instant since_;
  // Where the session stood when this connection came.
  Seq begin_through_;
  std::uint64_t begin_bytes_ = 0;
  std::uint64_t begin_messages_ = 0;
  std::uint32_t max_packet_size_ = 0;
  std::uint32_t window_size_ = 0;
  OperationMode mode_ = OperationMode::burst;
  // As many as it takes to tell what a stranger is.
  std::array<char, 10> first_bytes_;
  std::uint8_t first_bytes_count_ = 0;
  std::unique_ptr<Repeats> refused_messages_;
  bool has_said_something_ = false;
  bool is_resumed_ = false;
  bool has_lasted_ = false;
};

// "192.0.2.9" of "192.0.2.9:51234", "2001:db8::1" of "[2001:db8::1]:51234".
std::string_view host_of(std::string_view address);

}  // namespace cproto
