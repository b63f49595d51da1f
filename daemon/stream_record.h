// What a message of a stream says of its session (STREAM.md §3): enough for any daemon to go on with it, and for
// readers to take the pieces apart.
#pragma once

#include <optional>
#include <string>

#include "daemon/session_queue.h"
#include "daemon/session_registry.h"
#include "daemon/stream.h"

namespace cproto {

// Whoever reads a stream may know this name of a session, but not its id: 32 hexadecimal digits of the id's SHA-256.
std::string stream_session_name(const SessionId& id);

// "cproto.<client>.<channel>.<session>", with ':' for the dots in names.
std::string stream_subject(const std::string& client_id, const std::string& channel, const SessionId& id);

// How far a session has come, as its last message in the stream says.
struct StreamMark {
  Position position;
  std::uint64_t attempt = 0;
  std::uint32_t max_packet_size = 0;
  MessageKind kind = MessageKind::text;  // of the session
  std::string channel;                   // of the message that is unfinished; empty: the session's
  std::vector<Refusal> refusals;         // that its client has not shown to know
};

// `after`: of the Publication that they are for.
StreamHeaders encode_stream_headers(const std::string& session_name, const Pack& pack, const StreamMark& mark,
                                    std::uint64_t after);
// nullopt: it was not written by a cprotod, or by a newer one.
std::optional<StreamMark> decode_stream_mark(const StreamHeaders& headers);

}  // namespace cproto
