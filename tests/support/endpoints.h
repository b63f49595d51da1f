// One session under test: it hears bytes that a test made, and what it then tells its host and writes is text to
// compare.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proto/client_session.h"
#include "proto/server_session.h"
#include "tests/support/frames.h"

namespace cproto::test {

// "Hello", "Received 1-3", "Skipped 4 message_too_large", "Ended bad_parameter", "Ended by peer", …
std::string to_text(const ServerEvent& event);
// "Established", "Acked 3", "Refused 4 message_too_large", "Failed peer_silent", "Failed by peer shutting_down",
// "Closed", …
std::string to_text(const ClientEvent& event);

const char* state_name(ServerSession::State state);
const char* state_name(ClientSession::State state);

class ServerEnd {
 public:
  explicit ServerEnd(const ServerOptions& options = {});

  // Each is one turn: the input, all events (returned, joined by "; "), all output (see said()).
  std::string hears(ByteView input);
  std::string waits(Duration duration);  // and handles the timeout, if it is due
  std::string turn();                    // after an input given to `session` directly

  // Up to the named state, for the tests that begin there.
  void accept(Acceptance acceptance = an_acceptance());
  void reach_established(const Acceptance& acceptance = an_acceptance());

  // What the last turn wrote: names, descriptions, or the bytes.
  std::string said() const { return names_in(output); }
  std::string said_in_full() const { return description_of(output); }

  static Acceptance an_acceptance();

  Instant now{};
  ServerSession session;
  Bytes output;

 private:
  Bytes input_;  // stays until the next input
};

class ClientEnd {
 public:
  ClientEnd() : ClientEnd(some_options()) {}
  explicit ClientEnd(const ClientOptions& options);

  std::string hears(ByteView input);
  std::string waits(Duration duration);
  std::string turn();

  void reach_connecting();
  void reach_established(const SynAck& terms = some_terms());
  // A whole message in one go, and the turn after it.
  std::string sends(std::string_view message);

  std::string said() const { return names_in(output); }
  std::string said_in_full() const { return description_of(output); }

  static ClientOptions some_options(Transport transport = Transport::stream);

  Instant now{};
  ClientSession session;
  Bytes output;

 private:
  Bytes input_;
};

}  // namespace cproto::test
