#include "proto/server_session.h"

#include <doctest/doctest.h>

#include <string>

#include "proto/tlv.h"
#include "tests/support/endpoints.h"

using namespace cproto;
using namespace cproto::test;
using State = ServerSession::State;
using End = Disconnect::End;

namespace {

ServerOptions datagram() {
  ServerOptions options;
  options.transport = Transport::datagram;
  return options;
}

Acceptance with_received(std::uint64_t received) {
  Acceptance acceptance = ServerEnd::an_acceptance();
  acceptance.received = {.through = {received}, .bytes = received, .messages = received, .message = {}};
  return acceptance;
}

// The last ACK of what was said.
Ack last_ack(const ServerEnd& server) {
  std::optional<Ack> last;
  for (const OwnedFrame& frame : frames_in(server.output))
    if (frame.type == FrameType::ack) last = decode_ack(frame.payload);
  REQUIRE(last);
  return *last;
}

Error the_error(const ServerEnd& server) {
  const auto frames = frames_in(server.output);
  REQUIRE(frames.size() == 1);
  REQUIRE(frames[0].type == FrameType::error);
  return *decode_error(frames[0].payload);
}

std::string commits(ServerEnd& server, std::uint64_t through, std::vector<Refusal> refusals = {}) {
  server.session.commit(server.now, {through}, through, refusals);
  return server.turn();
}

// Closed up to number 1, the final ACK said.
void reach_confirming(ServerEnd& server) {
  server.reach_established();
  server.hears(join({data(1, "x"), disconnect(End::finish, 1)}));
  CHECK(commits(server, 1) == "Closing finish");
  server.session.settle_close(server.now);
  server.turn();
  CHECK(server.session.state() == State::confirming);
}

}  // namespace

TEST_CASE("server: the terms go out with the limits filled in") {
  ServerEnd server;
  CHECK(server.hears(syn(a_syn())) == "Hello");
  Acceptance acceptance = ServerEnd::an_acceptance();
  acceptance.terms.durable_through = {10};
  acceptance.terms.durable_bytes = 1'000;
  acceptance.terms.keep_alive_ms = 0;
  acceptance.received.through = {10};
  acceptance.window_bytes = 5'000;
  server.session.accept(server.now, acceptance);
  server.turn();
  const auto frames = frames_in(server.output);
  REQUIRE(frames.size() == 1);
  const auto decoded = decode_syn_ack(frames[0].payload);
  const SynAck* terms = std::get_if<SynAck>(&decoded);
  REQUIRE(terms != nullptr);
  CHECK(terms->limit_number == Seq{110});
  CHECK(terms->limit_bytes == 6'000);
  CHECK(terms->keep_alive_ms == 20'000);
}

TEST_CASE("server: the byte window is never smaller than a packet") {
  ServerEnd server;
  Acceptance acceptance = ServerEnd::an_acceptance();
  acceptance.window_bytes = 1;
  server.reach_established(acceptance);
  server.hears(data(1, "x"));
  commits(server, 1);
  CHECK(last_ack(server).limit_bytes == 1 + acceptance.terms.max_packet_size);
}

TEST_CASE("server: step-by-step makes the window one") {
  ServerEnd server;
  Acceptance acceptance = ServerEnd::an_acceptance();
  acceptance.terms.mode = OperationMode::step_by_step;
  server.reach_established(acceptance);
  server.hears(data(1, "x"));
  commits(server, 1);
  CHECK(last_ack(server).limit_number == Seq{2});
}

TEST_CASE("server: a SYN that cannot be accepted is answered with its error") {
  ServerEnd server;
  Syn offer = a_syn();
  offer.window_size = 0;
  CHECK(server.hears(syn(offer)) == "Ended bad_parameter");
  CHECK(the_error(server).number == 8);
  CHECK(server.session.wants_finish());
}

TEST_CASE("server: the host's refusal is told and ends the connection") {
  ServerEnd server;
  server.hears(syn(a_syn()));
  server.session.refuse(Error::of(ErrorCode::stale_attempt, 7));
  CHECK(server.turn() == "Ended stale_attempt");
  CHECK(the_error(server).number == 7);
  CHECK(server.session.wants_finish());
}

TEST_CASE("server: the host may take its time over a Hello") {
  ServerEnd server;
  const Bytes hello = syn(a_syn());
  CHECK(server.hears(ByteView(hello).first(7)).empty());
  CHECK(server.hears(ByteView(hello).subspan(7)) == "Hello");
  SUBCASE("and accept later") {
    server.waits(5s);
    server.session.accept(server.now, ServerEnd::an_acceptance());
    server.turn();
    CHECK(server.said() == "SYN-ACK");
    CHECK(server.hears(confirmation()) == "Opened");
  }
  SUBCASE("but not more than the handshake has") {
    CHECK(server.waits(10s) == "Ended handshake_timeout");
    CHECK(server.said() == "ERROR");
  }
  SUBCASE("while the client must be quiet") {
    CHECK(server.hears(confirmation()) == "Ended unexpected_frame");
    CHECK(server.hears(data(1, "x")).empty());
  }
}

TEST_CASE("server: what comes in one read with the SYN is unexpected") {
  ServerEnd server;
  CHECK(server.hears(join({syn(a_syn()), data(1, "x")})) == "Hello; Ended unexpected_frame");
}

TEST_CASE("server: the handshake has one deadline, not one a byte") {
  ServerEnd server;
  const Bytes hello = syn(a_syn());
  for (std::size_t i = 0; i < 9; ++i) {
    CHECK(server.waits(1s).empty());
    CHECK(server.hears(ByteView(hello).subspan(i, 1)).empty());
  }
  CHECK(server.session.next_deadline() == Instant(10s));
  CHECK(server.waits(1s) == "Ended handshake_timeout");
}

TEST_CASE("server: a stranger is told so, and what it said can be looked at") {
  ServerEnd server;
  CHECK(server.hears(as_bytes("GET / HTTP/1.1\r\n\r\n")) == "Ended frame_too_large");
  CHECK(as_text(server.session.unread()).substr(0, 4) == "GET ");
}

TEST_CASE("server: a confirmation of another session, or of no session, ends the connection") {
  ServerEnd server;
  server.accept();
  SUBCASE("another") { CHECK(server.hears(confirmation(id_of(1))) == "Ended wrong_session"); }
  SUBCASE("none") { CHECK(server.hears(ack_through(0)) == "Ended malformed_frame"); }
}

TEST_CASE("server: consecutive frames of one read are one run, as they came") {
  ServerEnd server;
  server.reach_established();
  const Bytes input = join({data(1, "one"), fragment(2, "two"), data(3, "three")});
  server.session.receive(server.now, input);
  const auto event = server.session.poll_event(server.now);
  REQUIRE(event);
  const auto* run = std::get_if<server_event::Received>(&*event);
  REQUIRE(run != nullptr);
  CHECK(run->first == Seq{1});
  CHECK(run->count == 3);
  CHECK(run->payload_bytes == 11);
  CHECK(run->frames.data() == input.data());
  CHECK(run->frames.size() == input.size());
  CHECK(run->after.through == Seq{3});
  CHECK(run->after.messages == 2);
}

TEST_CASE("server: a run ends where something else stands between or a frame is put together") {
  ServerEnd server;
  server.reach_established();
  const Bytes input = join({data(1, "one"), keep_alive(KeepAlive::answer), data(2, "two"), data(3, "three")});
  CHECK(server.hears(ByteView(input).first(input.size() - 3)) == "Received 1; Received 2");
  CHECK(server.hears(join({Bytes(input.end() - 3, input.end()), data(4, "four"), data(5, "five")})) ==
        "Received 3; Received 4-5");
}

TEST_CASE("server: one ACK covers a commit of many") {
  ServerEnd server;
  server.reach_established();
  server.hears(join({data(1, "one"), data(2, "two"), data(3, "three")}));
  CHECK(server.said().empty());
  server.session.commit(server.now, {2}, 6, {});
  server.turn();
  CHECK(server.said() == "ACK");
  const Ack ack = last_ack(server);
  CHECK(ack.durable_through == Seq{2});
  CHECK(ack.received_through == Seq{3});
  CHECK(ack.limit_number == Seq{102});
  CHECK(ack.limit_bytes == 6 + (1u << 20));
  CHECK_FALSE(ack.is_final);
}

TEST_CASE("server: several commits before a write are one ACK") {
  ServerEnd server;
  server.reach_established();
  server.hears(join({data(1, "one"), data(2, "two")}));
  server.session.commit(server.now, {1}, 3, {});
  server.session.commit(server.now, {2}, 6, {});
  server.turn();
  CHECK(server.said() == "ACK");
  CHECK(last_ack(server).durable_through == Seq{2});
}

TEST_CASE("server: a durable duplicate is acknowledged again, another waits for its batch") {
  ServerEnd server;
  server.reach_established();
  server.hears(join({data(1, "one"), data(2, "two")}));
  commits(server, 1);
  CHECK(server.hears(data(2, "two")).empty());
  CHECK(server.said().empty());
  CHECK(server.hears(data(1, "one")).empty());
  CHECK(server.said() == "ACK");
  CHECK(server.session.duplicates() == 2);
}

TEST_CASE("server: what is received and not durable after 200 ms is said, once") {
  ServerEnd server;
  server.reach_established();
  server.hears(data(1, "one"));
  CHECK(server.session.next_deadline() == server.now + 200ms);
  server.waits(100ms);
  server.hears(data(2, "two"));
  server.waits(99ms);
  CHECK(server.said().empty());
  server.waits(1ms);
  CHECK(server.said() == "ACK");
  CHECK(last_ack(server).durable_through == Seq{0});
  CHECK(last_ack(server).received_through == Seq{2});
  server.waits(1s);
  CHECK(server.said().empty());
}

TEST_CASE("server: what is durable in time is not reported") {
  ServerEnd server;
  server.reach_established();
  server.hears(data(1, "one"));
  server.waits(100ms);
  commits(server, 1);
  server.waits(1s);
  CHECK(server.said().empty());
}

TEST_CASE("server: a refusal goes out before the ACK that passes its numbers") {
  ServerEnd server;
  Acceptance acceptance = ServerEnd::an_acceptance();
  acceptance.terms.message_size_max = 5;
  server.reach_established(acceptance);
  CHECK(server.hears(join({data(1, "fits"), fragment(2, "too lar"), data(3, "ge"), data(4, "fits")})) ==
        "Received 1; Skipped 2 message_too_large; Skipped 3; Received 4");
  CHECK(server.said().empty());
  commits(server, 4, {{ErrorCode::message_too_large, {2}}});
  CHECK(server.said() == "ERROR, ACK");
  CHECK(server.said_in_full().find("message_too_large, number 2") != std::string::npos);
  commits(server, 4);
  CHECK(server.said() == "ACK");
}

TEST_CASE("server: a damaged frame is named, and what follows is dropped until it comes again") {
  ServerEnd server;
  server.reach_established();
  CHECK(server.hears(join({data(1, "one"), damaged(data(2, "two")), data(3, "three")})) == "Received 1");
  CHECK(the_error(server).code == ErrorCode::bad_checksum);
  CHECK(the_error(server).number == 2);
  CHECK(server.hears(join({data(2, "two"), data(3, "three")})) == "Received 2-3");
  CHECK(server.said().empty());
}

TEST_CASE("server: a gap on an undamaged stream ends the connection") {
  ServerEnd server;
  server.reach_established();
  CHECK(server.hears(data(2, "two")) == "Ended number_out_of_window");
  CHECK(the_error(server).number == 2);
}

TEST_CASE("server: on datagrams what was kept follows the frame that closes the gap") {
  ServerEnd server(datagram());
  server.reach_established();
  CHECK(server.hears(data(3, "three")).empty());
  CHECK(server.said_in_full() == "ACK durable 0, received 0, limit 100, 3-3");
  CHECK(server.hears(data(2, "two")).empty());
  CHECK(server.hears(data(1, "one")) == "Received 1; Received 2; Received 3");
  commits(server, 3);
  CHECK(server.said_in_full() == "ACK durable 3, received 3, limit 103");
}

TEST_CASE("server: on datagrams the SYN-ACK is repeated until the confirmation is there") {
  ServerEnd server(datagram());
  server.accept();
  CHECK(server.said() == "SYN-ACK");
  server.waits(1s);
  CHECK(server.said() == "SYN-ACK");
  server.hears(syn(a_syn()));
  CHECK(server.said() == "SYN-ACK");
  CHECK(server.hears(confirmation()) == "Opened");
  server.waits(2s);
  CHECK(server.said().empty());
}

TEST_CASE("server: what an earlier connection received is a duplicate, and its commit is told on this one") {
  ServerEnd server;
  server.accept(with_received(5));
  // The batch returns while the handshake is under way.
  commits(server, 3);
  CHECK(server.said().empty());
  server.hears(confirmation());
  CHECK(server.said_in_full() == "ACK durable 3, received 5, limit 103");
  CHECK(server.hears(join({data(4, "x"), data(5, "x"), data(6, "x")})) == "Received 6");
  commits(server, 6);
  CHECK(server.said_in_full() == "ACK durable 6, received 6, limit 106");
}

TEST_CASE("server: what an earlier connection received and is not durable is reported after 200 ms") {
  ServerEnd server;
  server.reach_established(with_received(5));
  server.waits(200ms);
  CHECK(server.said_in_full() == "ACK durable 0, received 5, limit 100");
}

TEST_CASE("server: a commit for a connection that is over is no matter") {
  ServerEnd server;
  server.reach_established();
  server.hears(data(1, "x"));
  server.session.end(Error::of(ErrorCode::superseded));
  CHECK(server.turn() == "Ended superseded");
  CHECK(server.said_in_full().find("superseded") != std::string::npos);
  CHECK(commits(server, 1).empty());
  CHECK(server.said().empty());
}

TEST_CASE("server: a close waits for the last number, then for the disk, then for the host") {
  ServerEnd server;
  server.reach_established();
  CHECK(server.hears(join({data(1, "x"), disconnect(End::finish, 2)})) == "Received 1");
  CHECK(commits(server, 1).empty());
  CHECK(server.hears(data(2, "x")) == "Received 2");
  CHECK(commits(server, 2) == "Closing finish");
  CHECK_FALSE(last_ack(server).is_final);
  CHECK_FALSE(server.session.wants_shutdown());
  server.session.settle_close(server.now);
  CHECK_FALSE(server.session.wants_shutdown());  // the final ACK goes first
  server.turn();
  CHECK(server.said() == "ACK");
  CHECK(last_ack(server).is_final);
  CHECK(server.session.wants_shutdown());
  CHECK(server.hears(confirmation_of_close(2)) == "Confirmed finish");
  CHECK(server.session.wants_finish());
}

TEST_CASE("server: a close with nothing to wait for is told at once") {
  ServerEnd server;
  server.reach_established();
  CHECK(server.hears(disconnect(End::pause, 0)) == "Closing pause");
}

TEST_CASE("server: a close waits for what an earlier connection brought and this one did not repeat") {
  ServerEnd server;
  server.reach_established(with_received(10));
  CHECK(server.hears(join({data(1, "x"), data(2, "x"), disconnect(End::pause, 2)})).empty());
  CHECK(server.session.state() == State::closing);
  CHECK(commits(server, 2).empty());
  CHECK(commits(server, 10) == "Closing pause");
  server.session.settle_close(server.now);
  server.turn();
  CHECK(last_ack(server).is_final);
  CHECK(last_ack(server).durable_through == Seq{10});
}

TEST_CASE("server: a DISCONNECT with a last below what came before it is malformed") {
  ServerEnd server;
  server.reach_established();
  CHECK(server.hears(join({data(1, "x"), data(2, "x"), disconnect(End::finish, 1)})) ==
        "Received 1-2; Ended malformed_frame");
}

TEST_CASE("server: a number above the last behind a DISCONNECT is unexpected and not taken") {
  ServerEnd server;
  server.reach_established();
  server.hears(join({data(1, "x"), disconnect(End::finish, 1)}));
  SUBCASE("before it is durable") {}
  SUBCASE("after the host was told") { CHECK(commits(server, 1) == "Closing finish"); }
  CHECK(server.hears(data(2, "x")) == "Ended unexpected_frame");
  CHECK(server.session.received().through == Seq{1});
}

TEST_CASE("server: a number above the last that was kept before the DISCONNECT is not taken either") {
  ServerEnd server(datagram());
  server.reach_established();
  server.hears(data(2, "kept"));
  // highest number seen is 2, so a last of 1 contradicts it
  CHECK(server.hears(disconnect(End::finish, 1)) == "Ended malformed_frame");
}

TEST_CASE("server: behind the final ACK nothing more is said on a stream") {
  ServerEnd server;
  reach_confirming(server);
  CHECK(server.said() == "ACK");
  SUBCASE("to an ask") { CHECK(server.hears(keep_alive(KeepAlive::ask)).empty()); }
  SUBCASE("to a duplicate") { CHECK(server.hears(data(1, "x")).empty()); }
  SUBCASE("to damage") { CHECK(server.hears(damaged(data(1, "x"))).empty()); }
  SUBCASE("to nonsense") { CHECK(server.hears(of_unknown_type()) == "Ended unexpected_frame"); }
  SUBCASE("to silence") { CHECK(server.waits(19s).empty()); }
  CHECK(server.said().empty());
}

TEST_CASE("server: a close ends with the stream or at its deadline, though it was not confirmed") {
  ServerEnd server;
  reach_confirming(server);
  SUBCASE("end of the stream") { server.session.receive_end(server.now); }
  SUBCASE("deadline") {
    CHECK(server.session.next_deadline() == server.now + 20s);
    server.now += 20s;
    server.session.handle_timeout(server.now);
  }
  CHECK(server.turn().empty());
  CHECK(server.said().empty());
  CHECK(server.session.state() == State::closed);
}

TEST_CASE("server: on datagrams the final ACK is said again to who did not hear it") {
  ServerEnd server(datagram());
  reach_confirming(server);
  CHECK(server.hears(disconnect(End::finish, 1)).empty());
  CHECK(server.said() == "ACK");
  CHECK(last_ack(server).is_final);
  CHECK(server.hears(confirmation_of_close(1)) == "Confirmed finish");
}

TEST_CASE("server: a late copy of the handshake's confirmation does not pass for that of the close") {
  for (const Transport transport : {Transport::stream, Transport::datagram}) {
    ServerOptions options;
    options.transport = transport;
    ServerEnd server(options);
    reach_confirming(server);
    CHECK(server.hears(confirmation()).empty());
    CHECK(server.session.state() == ServerSession::State::confirming);
    CHECK(server.hears(confirmation_of_close(1)) == "Confirmed finish");
  }
}

TEST_CASE("server: a confirmation of a close that names another number ends the connection") {
  ServerEnd server;
  reach_confirming(server);
  CHECK(server.hears(confirmation_of_close(2)) == "Ended malformed_frame");
}

TEST_CASE("server: a confirmation of a close before there is one changes nothing") {
  ServerEnd server;
  server.reach_established();
  CHECK(server.hears(confirmation_of_close(0)).empty());
  CHECK(server.session.state() == ServerSession::State::established);
}

TEST_CASE("server: the end of the stream elsewhere is told") {
  ServerEnd server;
  server.reach_established();
  server.session.receive_end(server.now);
  CHECK(server.turn() == "Ended by peer");
  CHECK(server.session.wants_finish());
}

TEST_CASE("server: a pause asks an established client and turns others away") {
  ServerEnd server;
  SUBCASE("established") {
    server.reach_established();
    server.session.pause(5s);
    CHECK(server.turn().empty());
    CHECK(server.said_in_full() == "DISCONNECT pause, last 0");
    CHECK(decode_disconnect(frames_in(server.output)[0].payload)->retry_after_ms == 5'000);
    CHECK(server.hears(join({data(1, "under way"), disconnect(End::pause, 1)})) == "Received 1");
    CHECK(commits(server, 1) == "Closing pause");
  }
  SUBCASE("not yet") {
    server.accept();
    server.session.pause(5s);
    CHECK(server.turn() == "Ended shutting_down");
    CHECK(the_error(server).retry_after_ms == 5'000);
  }
}

TEST_CASE("server: an ask is answered behind an ACK, an answer is not answered") {
  ServerEnd server;
  server.reach_established();
  server.hears(join({data(1, "x"), keep_alive(KeepAlive::ask)}));
  CHECK(server.said_in_full() == "ACK durable 0, received 1, limit 100; KEEP-ALIVE answer");
  server.hears(keep_alive(KeepAlive::answer));
  CHECK(server.said().empty());
}

TEST_CASE("server: a silent client is asked twice and given up after three intervals") {
  ServerEnd server;
  server.reach_established();
  for (int i = 0; i < 2; ++i) {
    CHECK(server.waits(20s).empty());
    CHECK(server.said_in_full() == "KEEP-ALIVE ask");
  }
  CHECK(server.waits(20s) == "Ended peer_silent");
  CHECK(server.said() == "ERROR");
}

TEST_CASE("server: a client that is not read is not timed out") {
  ServerEnd server;
  server.reach_established();
  server.session.set_reading(false);
  for (int i = 0; i < 10; ++i) {
    CHECK(server.waits(20s).empty());
    CHECK(server.said_in_full() == "KEEP-ALIVE ask");
  }
  server.session.set_reading(true);
  CHECK(server.session.next_deadline() == server.now + 20s);
}

TEST_CASE("server: towards a client that takes nothing at most one of each waits") {
  ServerEnd server;
  server.reach_established();
  for (int i = 0; i < 100; ++i) {
    const Bytes input = join({keep_alive(KeepAlive::ask), data(static_cast<std::uint64_t>(i + 1), "x")});
    server.session.receive(server.now, input);
    while (server.session.poll_event(server.now)) {
    }
    server.session.commit(server.now, {static_cast<std::uint64_t>(i + 1)}, 1, {});
  }
  server.turn();
  CHECK(server.said() == "ACK, KEEP-ALIVE");
}

TEST_CASE("server: what a session cannot survive ends it with its error") {
  ServerEnd server;
  server.reach_established();
  SUBCASE("a payload above the agreed size") {
    CHECK(server.hears(data(1, std::string(1'025, 'x'))) == "Ended frame_too_large");
  }
  SUBCASE("an order of frames that makes no message") {
    CHECK(server.hears(abandonment(1)) == "Ended bad_message_order");
  }
  SUBCASE("a KEEP-ALIVE without a meaning") {
    CHECK(server.hears(frame_of(FrameType::keep_alive)) == "Ended malformed_frame");
  }
  SUBCASE("a DISCONNECT without a meaning") {
    CHECK(server.hears(frame_of(FrameType::disconnect)) == "Ended malformed_frame");
  }
  SUBCASE("an ERROR cut short") { CHECK(server.hears(frame_of(FrameType::error)) == "Ended malformed_frame"); }
  CHECK(server.said() == "ERROR");
  CHECK(server.session.wants_finish());
  CHECK(server.session.next_deadline() == kNever);
}

TEST_CASE("server: a HEADER that is not taken is answered with its number and what is wrong with it") {
  ServerEnd server;
  server.reach_established();
  server.hears(data(1, "x"));
  Bytes payload;
  ByteWriter writer(payload);
  writer.u32(0x01000000);
  std::string detail;
  SUBCASE("an unknown critical parameter") {
    put_tlv_number(writer, 0x80ff, std::uint8_t{1});
    CHECK(server.hears(frame_of(FrameType::header, payload, 2)) == "Ended unknown_critical_parameter");
    detail = ": 0x80ff";
  }
  SUBCASE("a parameter cut short") {
    writer.u16(kTlvMessageChannel);
    CHECK(server.hears(frame_of(FrameType::header, payload, 2)) == "Ended malformed_frame");
    detail = ": a parameter of HEADER is cut short";
  }
  CHECK(the_error(server).number == 2);
  CHECK(the_error(server).sentence.ends_with(detail));
}

TEST_CASE("server: on datagrams a refusal is in every ACK behind it, and is no ERROR") {
  ServerEnd server(datagram());
  Acceptance acceptance = ServerEnd::an_acceptance();
  acceptance.terms.message_size_max = 3;
  server.reach_established(acceptance);
  CHECK(server.hears(data(1, "long")) == "Skipped 1 message_too_large");
  const Refusal refusal{ErrorCode::message_too_large, {1}};
  commits(server, 1, {refusal});
  CHECK(server.said() == "ACK");
  CHECK(last_ack(server).refusals == std::vector<Refusal>{refusal});
  server.hears(data(2, "ok"));
  commits(server, 2);
  CHECK(last_ack(server).refusals == std::vector<Refusal>{refusal});
}

TEST_CASE("server: of very many refusals a SYN-ACK tells the lowest, and the client is to come back for the others") {
  ServerEnd server;
  Acceptance acceptance = ServerEnd::an_acceptance();
  acceptance.terms.durable_through = acceptance.received.through = {500};
  for (std::uint64_t number = 1; number <= 400; ++number)
    acceptance.terms.refusals.push_back({ErrorCode::no_space_for_file, {number}});
  server.hears(syn(a_syn()));
  server.session.accept(server.now, acceptance);
  server.turn();
  const auto frames = frames_in(server.output);
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].payload.size() < kHandshakePayloadMax);
  const auto decoded = decode_syn_ack(frames[0].payload);
  const SynAck* terms = std::get_if<SynAck>(&decoded);
  REQUIRE(terms != nullptr);
  CHECK(terms->refusals.size() == kRefusalsMax);
  CHECK(terms->refusals.back().first == Seq{kRefusalsMax});
  CHECK(server.hears(confirmation(terms->session)) == "Opened; Ended too_many_refusals");
}

TEST_CASE("server: the connection ends at as many refusals as may be unheard, the SYN-ACK's counted in") {
  for (const Transport transport : {Transport::stream, Transport::datagram}) {
    ServerOptions options;
    options.transport = transport;
    ServerEnd server(options);
    Acceptance acceptance = ServerEnd::an_acceptance();
    acceptance.terms.message_size_max = 3;
    acceptance.terms.durable_through = acceptance.received.through = {1};
    acceptance.terms.refusals = {{ErrorCode::message_too_large, {1}}};
    server.reach_established(acceptance);
    for (std::uint64_t number = 2; number < kRefusalsMax; ++number)
      REQUIRE(server.hears(data(number, "long")) == "Skipped " + std::to_string(number) + " message_too_large");
    CHECK(server.hears(data(kRefusalsMax, "long")) ==
          "Skipped " + std::to_string(kRefusalsMax) + " message_too_large; Ended too_many_refusals");
  }
}
