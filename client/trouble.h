// What went wrong with a connection, in words, and what is done about it.
#pragma once

#include <string>

#include "client/addresses.h"
#include "client/status.h"
#include "client/unreachable.h"
#include "proto/bytes.h"
#include "proto/error.h"
#include "proto/handshake.h"
#include "proto/tls_stream.h"

namespace cproto::client {

struct Trouble {
  std::string where;     // "logs:7780 (192.0.2.7)"
  std::string sentence;  // the whole: where, why, what to look at
  std::string reason;    // why, in short: "connection refused"
  // The status if the command gives up with this, and if it has to at once.
  Status status = Status::unavailable;
  bool is_final = false;
  bool is_said = false;             // by the server, in the protocol's words
  Duration pause{0};                // not to come back before
  bool comes_back_at_once = false;  // nothing is wrong; the session only wants another connection
};

// "logs:7780 (192.0.2.7)"; an address that is the name already is not repeated.
std::string place(const ServerAddress& server, const std::string& address);

Trouble unreachable(const ServerAddress& server, const Unreachable& unreachable);
// The connection broke; before the handshake was complete, or later.
Trouble lost(const std::string& where, const std::string& reason, bool was_established);
// TLS failed. What somebody has to see to first is not tried again.
Trouble tls_failed(const std::string& where, const TlsTrouble& tls, bool was_established);
// The session failed with `error`; `is_remote`: the server said so. `store`: the one it belongs to, if it has come so
// far.
Trouble failed(const std::string& where, const Error& error, bool is_remote, const StoreId* store);
// The first bytes from there were no frame.
Trouble not_cproto(const std::string& where, ByteView greeting);
// Whether what a stranger said first could begin a frame of a server.
bool looks_like_cproto(ByteView greeting);

}  // namespace cproto::client
