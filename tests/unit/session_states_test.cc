// Every state of both ends meets every type of frame, on both kinds of transport: PROTOCOL §7.3. A pair without a row
// fails.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/endpoints.h"

using namespace cproto;
using namespace cproto::test;

namespace {

using S = ServerSession::State;
using C = ClientSession::State;

enum class F { data, ack, error, keep_alive, disconnect, syn, syn_ack, fragment, header, unknown };
constexpr F kFrames[] = {F::data, F::ack,     F::error,    F::keep_alive, F::disconnect,
                         F::syn,  F::syn_ack, F::fragment, F::header,     F::unknown};
constexpr S kServerStates[] = {S::awaiting_syn, S::deciding,   S::syn_received, S::established,
                               S::closing,      S::confirming, S::closed};
constexpr C kClientStates[] = {C::detached, C::connecting, C::established, C::closing, C::closed};

// What a frame leads to: the state behind it, the events told to the host, the frames written.
template <class State>
struct Expected {
  State state;
  const char* events = "";
  const char* said = "";
};
template <class State>
struct Row {
  State state;
  F frame;
  Expected<State> on_stream;
  Expected<State> on_datagram;
};

// --- the server ---

using ServerExpected = Expected<S>;
using ServerRow = Row<S>;

ServerRow same(S state, F frame, const ServerExpected& expected) { return {state, frame, expected, expected}; }
ServerRow ignored(S state, F frame) { return same(state, frame, {state}); }
constexpr ServerExpected kUnexpected{S::closed, "Ended unexpected_frame", "ERROR"};
ServerRow unexpected(S state, F frame) { return same(state, frame, kUnexpected); }
ServerRow unexpected_or_ignored(S state, F frame) { return {state, frame, kUnexpected, {state}}; }
ServerRow ends(S state) { return same(state, F::error, {S::closed, "Ended by peer peer_silent"}); }

// Number 1 was received and is not durable; the frames bring number 2 and DISCONNECT says last 3. In closing 3 are
// waited for; in confirming 1 was the last.
const std::vector<ServerRow>& server_rows() {
  static const std::vector<ServerRow> rows{
      same(S::awaiting_syn, F::syn, {S::deciding, "Hello"}),
      unexpected(S::awaiting_syn, F::syn_ack),
      unexpected(S::awaiting_syn, F::ack),
      unexpected(S::awaiting_syn, F::data),
      unexpected(S::awaiting_syn, F::fragment),
      unexpected(S::awaiting_syn, F::header),
      unexpected(S::awaiting_syn, F::keep_alive),
      unexpected(S::awaiting_syn, F::disconnect),
      unexpected(S::awaiting_syn, F::unknown),
      ends(S::awaiting_syn),

      unexpected_or_ignored(S::deciding, F::syn),
      unexpected_or_ignored(S::deciding, F::syn_ack),
      unexpected_or_ignored(S::deciding, F::ack),
      unexpected_or_ignored(S::deciding, F::data),
      unexpected_or_ignored(S::deciding, F::fragment),
      unexpected_or_ignored(S::deciding, F::header),
      unexpected_or_ignored(S::deciding, F::keep_alive),
      unexpected_or_ignored(S::deciding, F::disconnect),
      unexpected_or_ignored(S::deciding, F::unknown),
      ends(S::deciding),

      {S::syn_received, F::syn, kUnexpected, {S::syn_received, "", "SYN-ACK"}},
      unexpected(S::syn_received, F::syn_ack),
      same(S::syn_received, F::ack, {S::established, "Opened"}),
      unexpected_or_ignored(S::syn_received, F::data),
      unexpected_or_ignored(S::syn_received, F::fragment),
      unexpected_or_ignored(S::syn_received, F::header),
      unexpected_or_ignored(S::syn_received, F::keep_alive),
      unexpected_or_ignored(S::syn_received, F::disconnect),
      unexpected(S::syn_received, F::unknown),
      ends(S::syn_received),

      unexpected_or_ignored(S::established, F::syn),
      unexpected(S::established, F::syn_ack),
      ignored(S::established, F::ack),
      same(S::established, F::data, {S::established, "Received 2"}),
      same(S::established, F::fragment, {S::established, "Received 2"}),
      same(S::established, F::header, {S::established, "Received 2"}),
      same(S::established, F::keep_alive, {S::established, "", "ACK, KEEP-ALIVE"}),
      same(S::established, F::disconnect, {S::closing}),
      unexpected(S::established, F::unknown),
      ends(S::established),

      unexpected_or_ignored(S::closing, F::syn),
      unexpected(S::closing, F::syn_ack),
      ignored(S::closing, F::ack),
      same(S::closing, F::data, {S::closing, "Received 2"}),
      same(S::closing, F::fragment, {S::closing, "Received 2"}),
      same(S::closing, F::header, {S::closing, "Received 2"}),
      same(S::closing, F::keep_alive, {S::closing, "", "ACK, KEEP-ALIVE"}),
      same(S::closing, F::disconnect, {S::closing, "", "ACK"}),
      unexpected(S::closing, F::unknown),
      ends(S::closing),

      // On a stream the final ACK was the last that is said.
      {S::confirming, F::syn, {S::closed, "Ended unexpected_frame"}, {S::confirming}},
      {S::confirming, F::syn_ack, {S::closed, "Ended unexpected_frame"}, kUnexpected},
      ignored(S::confirming, F::ack),
      {S::confirming, F::data, {S::closed, "Ended unexpected_frame"}, kUnexpected},
      {S::confirming, F::fragment, {S::closed, "Ended unexpected_frame"}, kUnexpected},
      {S::confirming, F::header, {S::closed, "Ended unexpected_frame"}, kUnexpected},
      {S::confirming, F::keep_alive, {S::confirming}, {S::confirming, "", "ACK, KEEP-ALIVE"}},
      {S::confirming, F::disconnect, {S::confirming}, {S::confirming, "", "ACK"}},
      {S::confirming, F::unknown, {S::closed, "Ended unexpected_frame"}, kUnexpected},
      ends(S::confirming),

      ignored(S::closed, F::syn),
      ignored(S::closed, F::syn_ack),
      ignored(S::closed, F::ack),
      ignored(S::closed, F::data),
      ignored(S::closed, F::fragment),
      ignored(S::closed, F::header),
      ignored(S::closed, F::keep_alive),
      ignored(S::closed, F::disconnect),
      ignored(S::closed, F::unknown),
      ignored(S::closed, F::error),
  };
  return rows;
}

Bytes client_says(F frame) {
  switch (frame) {
    case F::data: return data(2, "x");
    case F::ack: return confirmation();
    case F::error: return error(ErrorCode::peer_silent);
    case F::keep_alive: return keep_alive(KeepAlive::ask);
    case F::disconnect: return disconnect(Disconnect::End::finish, 3);
    case F::syn: return syn(a_syn());
    case F::syn_ack: return syn_ack(some_terms());
    case F::fragment: return fragment(2, "x");
    case F::header: return header(2, MessageKind::binary);
    case F::unknown: return of_unknown_type();
  }
  return {};
}

void reach(ServerEnd& server, S state) {
  switch (state) {
    case S::awaiting_syn: return;
    case S::deciding: server.hears(syn(a_syn())); return;
    case S::syn_received: return server.accept();
    case S::established:
      server.reach_established();
      server.hears(data(1, "x"));
      return;
    case S::closing:
      reach(server, S::established);
      server.hears(disconnect(Disconnect::End::finish, 3));
      return;
    case S::confirming:
      reach(server, S::established);
      server.hears(disconnect(Disconnect::End::finish, 1));
      server.session.commit(server.now, {1}, 1, {});
      server.turn();
      server.session.settle_close(server.now);
      server.turn();
      return;
    case S::closed:
      reach(server, S::confirming);
      server.hears(confirmation_of_close(1));
      return;
  }
}

void check_server(const ServerRow& row, Transport transport) {
  const ServerExpected& expected = transport == Transport::stream ? row.on_stream : row.on_datagram;
  ServerOptions options;
  options.transport = transport;
  ServerEnd server(options);
  reach(server, row.state);
  REQUIRE(server.session.state() == row.state);
  const Bytes frame = client_says(row.frame);
  INFO(state_name(row.state), " hears ", description_of(frame),
       transport == Transport::stream ? " on a stream" : " on datagrams");
  CHECK(server.hears(frame) == expected.events);
  CHECK(std::string(state_name(server.session.state())) == state_name(expected.state));
  CHECK(server.said() == expected.said);
}

// --- the client ---

using ClientExpected = Expected<C>;
using ClientRow = Row<C>;

ClientRow same(C state, F frame, const ClientExpected& expected) { return {state, frame, expected, expected}; }
ClientRow ignored(C state, F frame) { return same(state, frame, {state}); }
// The connection is over; the state stays until the host detaches.
ClientRow unexpected(C state, F frame) { return same(state, frame, {state, "Failed unexpected_frame", "ERROR"}); }
ClientRow ends(C state) { return same(state, F::error, {state, "Failed by peer disk_full"}); }

// Number 1 is in flight; in closing DISCONNECT was sent as well. The ACK makes 1 durable, DISCONNECT asks for a pause.
const std::vector<ClientRow>& client_rows() {
  static const std::vector<ClientRow> rows{
      ignored(C::detached, F::syn),
      ignored(C::detached, F::syn_ack),
      ignored(C::detached, F::ack),
      ignored(C::detached, F::data),
      ignored(C::detached, F::fragment),
      ignored(C::detached, F::header),
      ignored(C::detached, F::keep_alive),
      ignored(C::detached, F::disconnect),
      ignored(C::detached, F::unknown),
      ignored(C::detached, F::error),

      unexpected(C::connecting, F::syn),
      same(C::connecting, F::syn_ack, {C::established, "Established", "ACK"}),
      unexpected(C::connecting, F::ack),
      unexpected(C::connecting, F::data),
      unexpected(C::connecting, F::fragment),
      unexpected(C::connecting, F::header),
      unexpected(C::connecting, F::keep_alive),
      unexpected(C::connecting, F::disconnect),
      unexpected(C::connecting, F::unknown),
      ends(C::connecting),

      unexpected(C::established, F::syn),
      {C::established, F::syn_ack, {C::established, "Failed unexpected_frame", "ERROR"}, {C::established, "", "ACK"}},
      same(C::established, F::ack, {C::established, "Acked 1"}),
      unexpected(C::established, F::data),
      unexpected(C::established, F::fragment),
      unexpected(C::established, F::header),
      same(C::established, F::keep_alive, {C::established, "", "KEEP-ALIVE"}),
      same(C::established, F::disconnect, {C::closing, "Pausing", "DISCONNECT"}),
      unexpected(C::established, F::unknown),
      ends(C::established),

      unexpected(C::closing, F::syn),
      {C::closing, F::syn_ack, {C::closing, "Failed unexpected_frame", "ERROR"}, {C::closing, "", "ACK"}},
      same(C::closing, F::ack, {C::closing, "Acked 1"}),
      unexpected(C::closing, F::data),
      unexpected(C::closing, F::fragment),
      unexpected(C::closing, F::header),
      same(C::closing, F::keep_alive, {C::closing, "", "KEEP-ALIVE"}),
      same(C::closing, F::disconnect, {C::closing, "Pausing"}),
      unexpected(C::closing, F::unknown),
      ends(C::closing),

      ignored(C::closed, F::syn),
      ignored(C::closed, F::syn_ack),
      ignored(C::closed, F::ack),
      ignored(C::closed, F::data),
      ignored(C::closed, F::fragment),
      ignored(C::closed, F::header),
      ignored(C::closed, F::keep_alive),
      ignored(C::closed, F::disconnect),
      ignored(C::closed, F::unknown),
      ignored(C::closed, F::error),
  };
  return rows;
}

Bytes server_says(F frame) {
  switch (frame) {
    case F::ack: return ack_through(1);
    case F::error: return error(ErrorCode::disk_full);
    case F::disconnect: return disconnect(Disconnect::End::pause, 0);
    case F::data:
    case F::keep_alive:
    case F::syn:
    case F::syn_ack:
    case F::fragment:
    case F::header:
    case F::unknown: return client_says(frame);
  }
  return {};
}

void reach(ClientEnd& client, C state) {
  switch (state) {
    case C::detached: return;
    case C::connecting: return client.reach_connecting();
    case C::established:
      client.reach_established();
      client.sends("x");
      return;
    case C::closing:
      reach(client, C::established);
      client.session.close(Disconnect::End::finish);
      client.turn();
      return;
    case C::closed: {
      reach(client, C::closing);
      Ack final_ack{.durable_through = {1},
                    .received_through = {1},
                    .limit_number = {2},
                    .limit_bytes = 9,
                    .is_final = true,
                    .ranges = {}};
      client.hears(ack(final_ack));
      return;
    }
  }
}

void check_client(const ClientRow& row, Transport transport) {
  const ClientExpected& expected = transport == Transport::stream ? row.on_stream : row.on_datagram;
  ClientEnd client(ClientEnd::some_options(transport));
  reach(client, row.state);
  REQUIRE(client.session.state() == row.state);
  const Bytes frame = server_says(row.frame);
  INFO(state_name(row.state), " hears ", description_of(frame),
       transport == Transport::stream ? " on a stream" : " on datagrams");
  const std::string events = client.hears(frame);
  CHECK(events == expected.events);
  CHECK(std::string(state_name(client.session.state())) == state_name(expected.state));
  CHECK(client.said() == expected.said);
  CHECK(client.session.wants_finish() == (events.rfind("Failed", 0) == 0 || row.state == C::closed));
}

template <class State>
const Row<State>* the_only_row(const std::vector<Row<State>>& rows, State state, F frame) {
  const Row<State>* found = nullptr;
  for (const Row<State>& row : rows) {
    if (row.state != state || row.frame != frame) continue;
    REQUIRE(found == nullptr);
    found = &row;
  }
  return found;
}

}  // namespace

TEST_CASE("states: the server's end knows what to do with every frame in every state") {
  for (const S state : kServerStates) {
    for (const F frame : kFrames) {
      const ServerRow* row = the_only_row(server_rows(), state, frame);
      INFO(state_name(state), ", frame ", static_cast<int>(frame));
      REQUIRE(row != nullptr);
      check_server(*row, Transport::stream);
      check_server(*row, Transport::datagram);
    }
  }
}

TEST_CASE("states: the client's end knows what to do with every frame in every state") {
  for (const C state : kClientStates) {
    for (const F frame : kFrames) {
      const ClientRow* row = the_only_row(client_rows(), state, frame);
      INFO(state_name(state), ", frame ", static_cast<int>(frame));
      REQUIRE(row != nullptr);
      check_client(*row, Transport::stream);
      check_client(*row, Transport::datagram);
    }
  }
}
