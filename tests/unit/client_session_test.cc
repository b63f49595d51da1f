#include "proto/client_session.h"

#include <doctest/doctest.h>

#include <string>

#include "tests/support/endpoints.h"

using namespace cproto;
using namespace cproto::test;
using State = ClientSession::State;
using End = Disconnect::End;

namespace {

Syn the_syn(const ClientEnd& client) {
  const auto frames = frames_in(client.output);
  REQUIRE(frames.size() == 1);
  const auto decoded = decode_syn(frames[0].payload);
  REQUIRE(std::holds_alternative<Syn>(decoded));
  return std::get<Syn>(decoded);
}

Bytes ack_of(std::uint64_t durable, std::uint64_t received, bool is_final = false) {
  return ack({.durable_through = {durable},
              .received_through = {received},
              .limit_number = {durable + 100},
              .limit_bytes = 1u << 20,
              .is_final = is_final,
              .ranges = {}});
}

// The connection breaks and the next one begins; returns its SYN.
Syn reconnects(ClientEnd& client) {
  client.session.detach();
  client.turn();
  client.session.attach(client.now);
  client.turn();
  return the_syn(client);
}

SynAck resumed_at(std::uint64_t durable) {
  SynAck terms = some_terms();
  terms.outcome = SynAck::Outcome::resumed;
  terms.durable_through = {durable};
  terms.durable_bytes = terms.durable_messages = durable;
  terms.limit_number = {durable + 100};
  return terms;
}

// Sends `count` messages of one byte.
void sends_some(ClientEnd& client, int count) {
  for (int i = 0; i < count; ++i) client.session.send(as_bytes("x"), true);
  client.turn();
}

}  // namespace

TEST_CASE("client: each connection begins with a SYN of a higher attempt") {
  ClientEnd client;
  client.session.attach(client.now);
  CHECK(client.turn().empty());
  CHECK(the_syn(client).attempt == 1);
  CHECK(the_syn(client).client_id == "host-1");
  CHECK_FALSE(the_syn(client).resume);
  CHECK(reconnects(client).attempt == 2);
}

TEST_CASE("client: the SYN-ACK is confirmed with the session's id, and data follows at once") {
  ClientEnd client;
  client.reach_connecting();
  CHECK_FALSE(client.session.can_send());
  CHECK(client.hears(syn_ack(some_terms())) == "Established");
  CHECK(to_hex(client.output) == to_hex(confirmation()));
  CHECK(client.session.can_send());
  CHECK(client.session.max_packet_size() == 1024);
  client.sends("Hello World");
  CHECK(to_hex(client.output) == to_hex(data(1, "Hello World")));
}

TEST_CASE("client: a message longer than a packet goes out in fragments of that size") {
  ClientEnd client;
  client.reach_established();
  client.sends(std::string(2'500, 'x'));
  CHECK(client.said_in_full() == "FRAGMENT 1, 1024 B; FRAGMENT 2, 1024 B; DATA 3, 452 B");
}

TEST_CASE("client: a message of a multiple of a packet ends with a full DATA") {
  ClientEnd client;
  client.reach_established();
  client.sends(std::string(2'048, 'x'));
  CHECK(client.said_in_full() == "FRAGMENT 1, 1024 B; DATA 2, 1024 B");
}

TEST_CASE("client: a message may be empty, and an empty part is nothing") {
  ClientEnd client;
  client.reach_established();
  const auto nothing = client.session.send({}, false);
  CHECK(nothing.is_complete);
  CHECK_FALSE(client.session.in_message());
  client.sends("");
  CHECK(client.said_in_full() == "DATA 1, 0 B");
}

TEST_CASE("client: a message may come in parts and end with an empty one") {
  ClientEnd client;
  client.reach_established();
  client.session.send(as_bytes("Hello "), false);
  CHECK(client.session.in_message());
  client.session.send(as_bytes("World"), false);
  client.session.send({}, true);
  CHECK_FALSE(client.session.in_message());
  client.turn();
  CHECK(client.said_in_full() == "FRAGMENT 1, 6 B; FRAGMENT 2, 5 B; DATA 3, 0 B");
}

TEST_CASE("client: send takes what there is room for and says how much that was") {
  ClientOptions options = ClientEnd::some_options();
  options.sender.unsent_bytes_max = 2'000;
  ClientEnd client(options);
  client.reach_established();
  const std::string message(10'000, 'x');
  const auto sent = client.session.send(as_bytes(message), true);
  CHECK(sent.bytes == 2'048);
  CHECK_FALSE(sent.is_complete);
  CHECK_FALSE(client.session.can_send());
  CHECK(client.session.in_message());
  client.turn();
  CHECK(client.session.can_send());
}

TEST_CASE("client: a HEADER says what the next message is, another gives it up") {
  ClientEnd client;
  client.reach_established();
  client.session.begin({MessageKind::binary, "metrics"});
  client.session.send(as_bytes("begun"), false);
  client.session.abandon();
  CHECK_FALSE(client.session.in_message());
  client.turn();
  CHECK(client.said() == "HEADER, FRAGMENT, HEADER");
  CHECK(to_hex(client.output) ==
        to_hex(join({header(1, MessageKind::binary, "metrics"), fragment(2, "begun"), abandonment(3)})));
}

TEST_CASE("client: what is durable is told and is what the next SYN resumes behind") {
  ClientEnd client;
  client.reach_established();
  client.sends("Hello");
  client.sends("World");
  CHECK(client.hears(ack_of(1, 2)) == "Acked 1");
  CHECK(client.hears(ack_of(1, 2)).empty());
  const Syn syn = reconnects(client);
  REQUIRE(syn.resume);
  CHECK(syn.resume->session == session_id());
  CHECK(syn.resume->store == store_id());
  CHECK(syn.resume->acknowledged == Seq{1});
  CHECK(syn.resume->acknowledged_bytes == 5);
  CHECK(syn.resume->acknowledged_messages == 1);
}

TEST_CASE("client: what was not durable goes out again on the next connection") {
  ClientEnd client;
  client.reach_established();
  sends_some(client, 5);
  client.hears(ack_of(2, 4));
  reconnects(client);
  CHECK(client.hears(syn_ack(resumed_at(3))) == "Established");
  CHECK(client.said_in_full() == "ACK of the session; DATA 4, 1 B; DATA 5, 1 B");
}

TEST_CASE("client: an ACK of what was never sent ends the connection") {
  ClientEnd client;
  client.reach_established();
  client.sends("x");
  CHECK(client.hears(ack_of(2, 2)) == "Failed malformed_frame");
  CHECK(client.said() == "ERROR");
  CHECK(client.session.wants_finish());
}

TEST_CASE("client: an ACK of what only the connection before this one sent is good") {
  SynAck terms = some_terms();
  terms.window_size = 32'767;
  terms.limit_number = {32'767};
  ClientEnd client;
  client.reach_established(terms);
  sends_some(client, 10);
  reconnects(client);
  SynAck resumed = resumed_at(0);
  resumed.window_size = 4;
  CHECK(client.hears(syn_ack(resumed)) == "Established");
  CHECK(client.said_in_full() == "ACK of the session; DATA 1, 1 B; DATA 2, 1 B; DATA 3, 1 B; DATA 4, 1 B");
  CHECK(client.hears(ack_of(9, 10)) == "Acked 9");
  CHECK(client.said_in_full() == "DATA 10, 1 B");
}

TEST_CASE("client: a refusal is told once, and the next SYN shows that it was heard") {
  ClientEnd client;
  client.reach_established();
  sends_some(client, 3);
  CHECK(client.hears(join({error(ErrorCode::message_too_large, 2), ack_of(3, 3)})) ==
        "Refused 2 message_too_large; Acked 3");
  CHECK(client.hears(error(ErrorCode::message_too_large, 2)).empty());
  CHECK(reconnects(client).refusals_heard == Seq{2});
  SynAck terms = resumed_at(3);
  terms.refusals = {{ErrorCode::message_too_large, {2}}, {ErrorCode::kind_not_accepted, {3}}};
  CHECK(client.hears(syn_ack(terms)) == "Established; Refused 3 kind_not_accepted");
  CHECK(reconnects(client).refusals_heard == Seq{3});
}

TEST_CASE("client: on datagrams refusals are heard from the ACK, each once, before what it makes durable") {
  ClientEnd client(ClientEnd::some_options(Transport::datagram));
  client.reach_established();
  sends_some(client, 4);
  Ack told{
      .durable_through = {2}, .received_through = {4}, .limit_number = {100}, .limit_bytes = 1u << 20, .ranges = {}};
  told.refusals = {{ErrorCode::message_too_large, {2}}};
  CHECK(client.hears(ack(told)) == "Refused 2 message_too_large; Acked 2");
  told.durable_through = {4};
  told.refusals.push_back({ErrorCode::kind_not_accepted, {4}});
  CHECK(client.hears(ack(told)) == "Refused 4 kind_not_accepted; Acked 4");
  CHECK(client.hears(ack(told)).empty());
  CHECK(reconnects(client).refusals_heard == Seq{4});
}

TEST_CASE("client: on datagrams a refusal that is an ERROR is left to the ACK, for one before it may be lost") {
  ClientEnd client(ClientEnd::some_options(Transport::datagram));
  client.reach_established();
  sends_some(client, 2);
  CHECK(client.hears(error(ErrorCode::message_too_large, 2)).empty());
  CHECK_FALSE(client.session.wants_finish());
  CHECK(reconnects(client).refusals_heard == Seq{0});
}

TEST_CASE("client: damage from the server ends a stream, for it may have been a refusal, and is nothing elsewhere") {
  ClientEnd on_stream;
  on_stream.reach_established();
  CHECK(on_stream.hears(damaged(ack_of(0, 0))) == "Failed framing_lost");
  ClientEnd on_datagrams(ClientEnd::some_options(Transport::datagram));
  on_datagrams.reach_established();
  CHECK(on_datagrams.hears(damaged(ack_of(0, 0))).empty());
}

TEST_CASE("client: what the server names as damaged goes out again, with all behind it") {
  ClientEnd client;
  client.reach_established();
  sends_some(client, 4);
  CHECK(client.hears(error(ErrorCode::bad_checksum, 3)).empty());
  CHECK(client.said_in_full() == "DATA 3, 1 B; DATA 4, 1 B");
}

TEST_CASE("client: a DISCONNECT that was damaged is said again behind the rest") {
  ClientEnd client;
  client.reach_established();
  sends_some(client, 2);
  client.session.close(End::finish);
  client.turn();
  CHECK(client.said() == "DISCONNECT");
  SUBCASE("it was the damaged one") {
    client.hears(error(ErrorCode::bad_checksum, 3));
    CHECK(client.said() == "DISCONNECT");
  }
  SUBCASE("it followed the damaged one") {
    client.hears(error(ErrorCode::bad_checksum, 2));
    CHECK(client.said_in_full() == "DATA 2, 1 B; DISCONNECT finish, last 2");
  }
}

TEST_CASE("client: on a stream the timer asks once, and an answer that misses something ends the connection") {
  ClientEnd client;
  client.reach_established();
  sends_some(client, 3);
  CHECK(client.session.next_deadline() == client.now + 1s);
  CHECK(client.waits(1s).empty());
  CHECK(client.said_in_full() == "KEEP-ALIVE ask");
  CHECK(client.waits(2s).empty());
  CHECK(client.said().empty());
  SUBCASE("everything was received") {
    CHECK(client.hears(join({ack_of(0, 3), keep_alive(KeepAlive::answer)})).empty());
    CHECK(client.waits(4s).empty());
    CHECK(client.said_in_full() == "KEEP-ALIVE ask");
  }
  SUBCASE("something was not") {
    CHECK(client.hears(join({ack_of(0, 2), keep_alive(KeepAlive::answer)})) == "Failed frame_lost");
    CHECK(client.said_in_full().find("frame_lost, number 3") != std::string::npos);
  }
}

TEST_CASE("client: damage makes an ask void, for the ask itself may have been hit") {
  ClientEnd client;
  client.reach_established();
  sends_some(client, 3);
  client.waits(1s);
  CHECK(client.said_in_full() == "KEEP-ALIVE ask");
  SUBCASE("frames before it were hit: its answer finds them missing, rightly") {
    CHECK(client.hears(join({ack_of(0, 1), error(ErrorCode::bad_checksum, 2), keep_alive(KeepAlive::answer)})).empty());
    CHECK(client.said_in_full() == "DATA 2, 1 B; DATA 3, 1 B");
  }
  SUBCASE("it was hit: another is sent") {
    CHECK(client.hears(error(ErrorCode::bad_checksum, 4)).empty());
    CHECK(client.waits(2s).empty());
    CHECK(client.said_in_full() == "KEEP-ALIVE ask");
  }
}

TEST_CASE("client: what is to go out again goes before an ask") {
  ClientEnd client;
  client.reach_established();
  for (int i = 0; i < 4; ++i) client.session.send(as_bytes(std::string(1'000, 'x')), true);
  client.turn();
  client.now += 1s;
  const Bytes input = error(ErrorCode::bad_checksum, 2);
  client.session.receive(client.now, input);
  while (client.session.poll_event(client.now)) {
  }
  client.session.handle_timeout(client.now);
  Bytes out;
  client.session.take_output(client.now, out, 1'000);
  CHECK(names_in(out) == "DATA");
  client.turn();
  CHECK(client.said() == "DATA, DATA, KEEP-ALIVE");
}

TEST_CASE("client: on datagrams the timer sends again what is missing, and asks") {
  ClientEnd client(ClientEnd::some_options(Transport::datagram));
  client.reach_established();
  sends_some(client, 3);
  client.hears(ack_of(0, 1));
  client.waits(1s);
  CHECK(client.said_in_full() == "DATA 2, 1 B; DATA 3, 1 B; KEEP-ALIVE ask");
}

TEST_CASE("client: on datagrams the SYN is repeated every second, and the confirmation when the SYN-ACK is") {
  ClientEnd client(ClientEnd::some_options(Transport::datagram));
  client.reach_connecting();
  client.waits(1s);
  CHECK(the_syn(client).attempt == 1);
  client.waits(1s);
  CHECK(client.said() == "SYN");
  CHECK(client.hears(syn_ack(some_terms())) == "Established");
  CHECK(client.hears(syn_ack(some_terms())).empty());
  CHECK(to_hex(client.output) == to_hex(confirmation()));
}

TEST_CASE("client: ten seconds without a SYN-ACK are enough") {
  ClientEnd client;
  client.reach_connecting();
  CHECK(client.session.next_deadline() == client.now + 10s);
  CHECK(client.waits(10s) == "Failed handshake_timeout");
  CHECK(client.session.next_deadline() == kNever);
}

TEST_CASE("client: a silent server is asked twice and given up after three intervals") {
  ClientEnd client;
  client.reach_established();
  for (int i = 0; i < 2; ++i) {
    CHECK(client.waits(20s).empty());
    CHECK(client.said_in_full() == (i == 0 ? "KEEP-ALIVE ask" : ""));  // one ask at a time on a stream
  }
  CHECK(client.waits(20s) == "Failed peer_silent");
}

TEST_CASE("client: everything durable and finished is closed with a confirmation") {
  ClientEnd client;
  client.reach_established();
  client.sends("x");
  client.session.close(End::finish);
  CHECK_FALSE(client.session.can_send());
  client.turn();
  CHECK(client.said_in_full() == "DISCONNECT finish, last 1");
  CHECK(client.hears(ack_of(1, 1)) == "Acked 1");
  CHECK(client.session.state() == State::closing);
  CHECK(client.hears(ack_of(1, 1, true)) == "Closed");
  CHECK(to_hex(client.output) == to_hex(confirmation_of_close(1)));
  CHECK(client.session.state() == State::closed);
  CHECK(client.session.wants_finish());
}

TEST_CASE("client: DISCONNECT goes out behind the last frame, however long the window holds that") {
  SynAck terms = some_terms();
  terms.window_size = 1;
  ClientEnd client;
  client.reach_established(terms);
  client.session.send(as_bytes("x"), true);
  client.session.send(as_bytes("y"), true);
  client.session.close(End::finish);
  client.turn();
  CHECK(client.said() == "DATA");
  client.hears(ack_of(1, 1));
  CHECK(client.said_in_full() == "DATA 2, 1 B; DISCONNECT finish, last 2");
}

TEST_CASE("client: close(pause) ends the connection and leaves the session") {
  ClientEnd client;
  client.reach_established();
  client.sends("x");
  client.session.close(End::pause);
  client.turn();
  CHECK(client.said_in_full() == "DISCONNECT pause, last 1");
  CHECK(client.hears(ack_of(1, 1, true)) == "Acked 1; Closed");
  REQUIRE(client.session.offer().resume);
  CHECK(client.session.offer().resume->acknowledged == Seq{1});
}

TEST_CASE("client: a server's pause stops new numbers, settles what is in flight and says when to come back") {
  SynAck terms = some_terms();
  terms.window_size = 2;
  ClientEnd client;
  client.reach_established(terms);
  sends_some(client, 3);
  CHECK(client.said() == "DATA, DATA");
  Bytes payload;
  encode_disconnect({End::pause, 5'000, {}}, payload);
  CHECK(client.hears(frame_of(FrameType::disconnect, payload)) == "Pausing");
  CHECK(client.said_in_full() == "DISCONNECT pause, last 2");
  CHECK(client.hears(ack_of(1, 2)) == "Acked 1");
  CHECK(client.said().empty());
  CHECK(client.hears(ack_of(2, 2, true)) == "Acked 2; Failed by peer shutting_down");
  CHECK(client.said_in_full() == "ACK of the close");
  reconnects(client);
  CHECK(client.hears(syn_ack(resumed_at(2))) == "Established");
  CHECK(client.said_in_full() == "ACK of the session; DATA 3, 1 B");
}

TEST_CASE("client: who is finished when the server pauses finishes") {
  ClientEnd client;
  client.reach_established();
  client.sends("x");
  client.session.close(End::finish);
  CHECK(client.hears(disconnect(End::pause, 0)) == "Pausing");
  CHECK(client.said_in_full() == "DISCONNECT finish, last 1");
  CHECK(client.hears(ack_of(1, 1, true)) == "Acked 1; Closed");
}

TEST_CASE("client: a server cannot finish a session") {
  ClientEnd client;
  client.reach_established();
  CHECK(client.hears(disconnect(End::finish, 0)) == "Failed malformed_frame");
}

TEST_CASE("client: terms that contradict what it knows are not taken") {
  ClientEnd client;
  client.reach_established();
  sends_some(client, 5);
  client.hears(ack_of(3, 3));
  reconnects(client);
  SynAck terms = resumed_at(3);
  std::string expected = "Failed store_behind";
  SUBCASE("fewer numbers than were acknowledged") { terms = resumed_at(2); }
  SUBCASE("a new session instead of the one asked for") {
    terms = resumed_at(0);
    terms.outcome = SynAck::Outcome::begun;
  }
  SUBCASE("more numbers than were sent") { terms = resumed_at(6); }
  SUBCASE("other bytes") { terms.durable_bytes = 4; }
  SUBCASE("other messages") { terms.durable_messages = 4; }
  SUBCASE("a restart behind another number than was acknowledged") {
    terms = resumed_at(4);
    terms.outcome = SynAck::Outcome::restarted;
  }
  SUBCASE("another session") {
    terms.session = id_of(1);
    expected = "Failed wrong_session";
  }
  SUBCASE("another store") {
    terms.store = id_of(1);
    expected = "Failed other_store";
  }
  SUBCASE("a smaller packet") {
    terms.max_packet_size = 64;
    expected = "Failed bad_parameter";
  }
  CHECK(client.hears(syn_ack(terms)) == expected);
  // What is not durable is kept, and goes on where the right store is back.
  reconnects(client);
  CHECK(client.hears(syn_ack(resumed_at(3))) == "Established");
  CHECK(client.said_in_full() == "ACK of the session; DATA 4, 1 B; DATA 5, 1 B");
}

TEST_CASE("client: who did not ask to resume takes nothing but a new session") {
  ClientEnd client;
  client.reach_connecting();
  SynAck terms = some_terms();
  SUBCASE("resumed") { terms.outcome = SynAck::Outcome::resumed; }
  SUBCASE("restarted") { terms.outcome = SynAck::Outcome::restarted; }
  SUBCASE("begun, but not at the beginning") { terms.durable_through = {1}; }
  SUBCASE("begun, but with bytes") { terms.durable_bytes = ~std::uint64_t{0} - 50; }
  SUBCASE("begun, but with messages") { terms.durable_messages = 1; }
  CHECK(client.hears(syn_ack(terms)) == "Failed wrong_session");
}

TEST_CASE("client: a program that was restarted inside a message goes on with it, or gives it up") {
  ClientOptions options = ClientEnd::some_options();
  options.offer.resume = Syn::Resume{session_id(), store_id(), {2}, 2, 1};
  ClientEnd client(options);
  SynAck terms = resumed_at(3);
  terms.durable_messages = 2;
  terms.unfinished = SynAck::Unfinished{{3}, 1, MessageKind::text};
  client.reach_established(terms);
  CHECK(client.session.in_message());
  SUBCASE("goes on") {
    client.sends("the rest");
    CHECK(client.said_in_full() == "DATA 4, 8 B");
  }
  SUBCASE("gives it up") {
    client.session.abandon();
    client.turn();
    CHECK(to_hex(client.output) == to_hex(abandonment(4)));
  }
  CHECK_FALSE(client.session.in_message());
}

TEST_CASE("client: a program that was restarted between messages is in none") {
  ClientOptions options = ClientEnd::some_options();
  options.offer.resume = Syn::Resume{session_id(), store_id(), {2}, 2, 2};
  ClientEnd client(options);
  client.reach_established(resumed_at(3));
  CHECK_FALSE(client.session.in_message());
}

TEST_CASE("client: who was in a message when the connection broke still is, whatever of it is durable") {
  ClientEnd client;
  client.reach_established();
  client.session.send(as_bytes("begun"), false);
  client.turn();
  reconnects(client);
  CHECK(client.hears(syn_ack(resumed_at(0))) == "Established");
  CHECK(client.session.in_message());
  SUBCASE("and is not, where the message ended behind what is durable") {
    client.sends("the end");
    reconnects(client);
    SynAck terms = resumed_at(1);
    terms.durable_bytes = 5;
    terms.durable_messages = 0;
    terms.unfinished = SynAck::Unfinished{{1}, 5, MessageKind::text};
    CHECK(client.hears(syn_ack(terms)) == "Established");
    CHECK_FALSE(client.session.in_message());
  }
}

TEST_CASE("client: an unknown session of which nothing was acknowledged begins anew, in smaller packets if need be") {
  ClientEnd client;
  client.reach_established();
  client.sends(std::string(150, 'x'));
  CHECK(reconnects(client).resume);
  CHECK(client.hears(error(ErrorCode::unknown_session)) == "Failed by peer unknown_session");
  CHECK_FALSE(reconnects(client).resume);
  SynAck terms = some_terms();
  terms.session = id_of(2);
  SUBCASE("the same packets") {
    CHECK(client.hears(syn_ack(terms)) == "Established");
    CHECK(client.said_in_full() == "ACK of the session; DATA 1, 150 B");
  }
  SUBCASE("smaller packets") {
    terms.max_packet_size = 64;
    CHECK(client.hears(syn_ack(terms)) == "Established");
    CHECK(client.said_in_full() == "ACK of the session; FRAGMENT 1, 64 B; FRAGMENT 2, 64 B; DATA 3, 22 B");
  }
}

TEST_CASE("client: a restarted session goes on behind what was acknowledged, in smaller packets if need be") {
  ClientEnd client;
  client.reach_established();
  client.sends("x");
  client.sends(std::string(150, 'x'));
  client.hears(ack_of(1, 2));
  reconnects(client);
  SynAck terms = resumed_at(1);
  terms.outcome = SynAck::Outcome::restarted;
  terms.session = id_of(2);
  SUBCASE("the same packets") {
    CHECK(client.hears(syn_ack(terms)) == "Established");
    CHECK(client.said_in_full() == "ACK of the session; DATA 2, 150 B");
  }
  SUBCASE("smaller packets") {
    terms.max_packet_size = 64;
    CHECK(client.hears(syn_ack(terms)) == "Established");
    CHECK(client.said_in_full() == "ACK of the session; FRAGMENT 2, 64 B; FRAGMENT 3, 64 B; DATA 4, 22 B");
    CHECK(client.hears(ack_of(4, 4)) == "Acked 4");
    CHECK(client.session.sender().durable_messages() == 2);
    CHECK(client.session.sender().durable_bytes() == 151);
  }
}

TEST_CASE("client: a session that the server forgets while it is up, before anything was acknowledged, begins anew") {
  ClientEnd client;
  client.reach_established();
  client.sends("one");
  CHECK(client.hears(error(ErrorCode::unknown_session)) == "Failed by peer unknown_session");
  client.said();
  CHECK(client.session.wants_finish());
  CHECK_FALSE(reconnects(client).resume);
}

TEST_CASE("client: an unknown session that was acknowledged is lost, and what is left is kept") {
  ClientEnd client;
  client.reach_established();
  sends_some(client, 2);
  client.hears(ack_of(1, 1));
  reconnects(client);
  client.session.poll_event(client.now);
  CHECK(client.hears(error(ErrorCode::unknown_session)) == "Failed by peer unknown_session");
  CHECK(reconnects(client).resume);
}

TEST_CASE("client: a stale attempt is followed by one above the number named") {
  ClientEnd client;
  client.reach_connecting();
  CHECK(client.hears(error(ErrorCode::stale_attempt, 41)) == "Failed by peer stale_attempt");
  CHECK(reconnects(client).attempt == 42);
}

TEST_CASE("client: the id that the server assigned is its own from then on") {
  ClientOptions options = ClientEnd::some_options();
  options.offer.client_id.clear();
  ClientEnd client(options);
  SynAck terms = some_terms();
  terms.client_id = "guest-7";
  client.reach_established(terms);
  CHECK(reconnects(client).client_id == "guest-7");
}

TEST_CASE("client: no frame from a server is longer than a control frame may be") {
  SynAck terms = some_terms();
  terms.max_packet_size = 1u << 20;
  ClientEnd client;
  client.reach_established(terms);
  CHECK(client.hears(frame_of(FrameType::error, as_bytes(std::string(4'097, 'x')))) == "Failed frame_too_large");
}

TEST_CASE("client: what cannot be read ends the connection") {
  ClientEnd client;
  client.reach_established();
  SUBCASE("ACK") { CHECK(client.hears(frame_of(FrameType::ack)) == "Failed malformed_frame"); }
  SUBCASE("ERROR") { CHECK(client.hears(frame_of(FrameType::error)) == "Failed malformed_frame"); }
  SUBCASE("KEEP-ALIVE") { CHECK(client.hears(frame_of(FrameType::keep_alive)) == "Failed malformed_frame"); }
  SUBCASE("DISCONNECT") { CHECK(client.hears(frame_of(FrameType::disconnect)) == "Failed malformed_frame"); }
  CHECK(client.said() == "ERROR");
}
