// Both ends together, with what can happen between them.
#include "tests/support/conversation.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace cproto;
using namespace cproto::test;
using State = ClientSession::State;
using End = Disconnect::End;
using Strings = std::vector<std::string>;

namespace {

ConversationOptions small_window(std::uint32_t window, OperationMode mode = OperationMode::burst) {
  ConversationOptions options;
  options.offer.window_size = window;
  options.offer.mode = mode;
  return options;
}

// The disk works only when told.
ConversationOptions slow_disk() {
  ConversationOptions options;
  options.commits = false;
  return options;
}

std::string message(int i) { return "message " + std::to_string(i); }
Strings messages(int from, int through) {
  Strings all;
  for (int i = from; i <= through; ++i) all.push_back(message(i));
  return all;
}
void send_messages(Conversation& talk, int from, int through) {
  for (const std::string& text : messages(from, through)) talk.send(text);
}

bool contains(const Strings& all, std::string_view what) {
  return std::any_of(all.begin(), all.end(),
                     [&](const std::string& one) { return one.find(what) != std::string::npos; });
}
std::ptrdiff_t count(const Strings& all, std::string_view what) {
  return std::count_if(all.begin(), all.end(),
                       [&](const std::string& one) { return one.find(what) != std::string::npos; });
}

// Turns a bit of the n-th frame of this type that a client writes, counted from 1; the frame must travel alone.
std::function<void(Bytes&)> damaging(FrameType type, int nth) {
  return [type, nth, seen = 0](Bytes& bytes) mutable {
    for (std::size_t at = 0; at < bytes.size();) {
      const FrameHeader header = decode_header(bytes.data() + at);
      if (header.type == type && ++seen == nth) bytes[at + kHeaderSize - 1] ^= 1;
      at += kHeaderSize + header.payload_size;
    }
  };
}

}  // namespace

TEST_CASE("conversation: one message from SYN to the last confirmation") {
  ConversationOptions options = small_window(5);
  Conversation talk(options);
  talk.connect();
  talk.exchange();
  talk.send("Hello World");
  talk.exchange();
  talk.close(End::finish);
  talk.exchange();
  CHECK(talk.frames == Strings{
                           "> SYN host-1/messages, packet 1024, window 5, attempt 1",
                           "< SYN-ACK packet 1024, window 5, durable 0",
                           "> ACK of the session",
                           "> DATA 1, 11 B",
                           "< ACK durable 1, received 1, limit 6",
                           "> DISCONNECT finish, last 1",
                           "< ACK durable 1, received 1, limit 6, final",
                           "> ACK of the close",
                       });
  CHECK(talk.client_events == Strings{"Established", "Acked 1", "Closed"});
  CHECK(talk.server_events == Strings{"Hello", "Opened", "Received 1", "Closing finish", "Confirmed finish"});
  CHECK(talk.texts() == Strings{"Hello World"});
  CHECK(talk.sessions_kept() == 0);
  CHECK_FALSE(talk.is_connected());
}

TEST_CASE("conversation: step-by-step has one frame in flight and no more") {
  Conversation talk(small_window(100, OperationMode::step_by_step));
  talk.connect();
  send_messages(talk, 1, 50);
  talk.exchange();
  CHECK(talk.texts() == messages(1, 50));
  CHECK(talk.in_flight_max == 1);
}

TEST_CASE("conversation: burst and step-by-step deliver the same") {
  std::vector<Delivered> results[2];
  for (const OperationMode mode : {OperationMode::step_by_step, OperationMode::burst}) {
    Conversation talk(small_window(100, mode));
    talk.connect();
    send_messages(talk, 1, 20);
    talk.send(std::string(5'000, 'x'));
    talk.send("");
    talk.exchange();
    talk.client().begin({MessageKind::binary, "metrics"});
    talk.client().send(as_bytes("00 ff"), true);
    send_messages(talk, 21, 30);
    talk.close(End::finish);
    talk.exchange();
    CHECK(talk.client().state() == State::closed);
    results[mode == OperationMode::burst] = talk.delivered;
  }
  CHECK(results[0].size() == 33);
  CHECK(results[0] == results[1]);
}

TEST_CASE("conversation: the window of frames is kept and used") {
  Conversation talk(small_window(5));
  talk.connect();
  send_messages(talk, 1, 200);
  talk.exchange();
  CHECK(talk.in_flight_max == 5);
  CHECK(talk.texts() == messages(1, 200));
}

TEST_CASE("conversation: the window of bytes is kept and used") {
  ConversationOptions options;
  options.window_bytes = 2'100;
  Conversation talk(options);
  talk.connect();
  for (int i = 0; i < 20; ++i) talk.send(std::string(500, 'x'));
  talk.exchange();
  CHECK(talk.in_flight_max == 4);
  CHECK(talk.delivered.size() == 20);
}

TEST_CASE("conversation: a byte window below a packet still lets every packet through") {
  ConversationOptions options;
  options.window_bytes = 1;
  Conversation talk(options);
  talk.connect();
  for (int i = 0; i < 20; ++i) talk.send(std::string(1'024, 'x'));
  talk.exchange();
  CHECK(talk.in_flight_max == 1);
  CHECK(talk.delivered.size() == 20);
}

TEST_CASE("conversation: a mebibyte in packets of 1,024 through a window of 5") {
  ConversationOptions options = small_window(5);
  options.read_size = 1'000;
  Conversation talk(options);
  std::string text(1u << 20, '\0');
  Random random(7);
  for (char& c : text) c = static_cast<char>(random.next());
  talk.connect();
  talk.send(text);
  talk.close(End::finish);
  talk.exchange();
  CHECK(talk.client().state() == State::closed);
  REQUIRE(talk.delivered.size() == 1);
  CHECK(talk.delivered[0].text == text);
  CHECK(talk.in_flight_max == 5);
  CHECK(talk.client().sender().durable_through() == Seq{1'024});
}

TEST_CASE("conversation: bytes may be cut anywhere") {
  for (const std::size_t read_size : {1u, 2u, 3u, 7u, 11u, 12u, 64u}) {
    ConversationOptions options;
    options.read_size = read_size;
    Conversation talk(options);
    talk.connect();
    send_messages(talk, 1, 20);
    talk.send(std::string(3'000, 'x'));
    talk.close(End::finish);
    talk.exchange();
    REQUIRE(talk.client().state() == State::closed);
    CHECK(talk.delivered.size() == 21);
  }
}

TEST_CASE("conversation: what a HEADER says belongs to one message") {
  Conversation talk;
  talk.connect();
  talk.exchange();
  talk.client().begin({MessageKind::binary, "metrics"});
  talk.client().send(as_bytes("one"), true);
  talk.client().send(as_bytes("two"), true);
  talk.exchange();
  CHECK(talk.delivered ==
        std::vector<Delivered>{{MessageKind::binary, "metrics", "one"}, {MessageKind::text, "messages", "two"}});
}

TEST_CASE("conversation: an abandoned message is never delivered") {
  Conversation talk;
  talk.connect();
  talk.exchange();
  talk.client().send(as_bytes("begun and "), false);
  talk.exchange();
  talk.client().send(as_bytes("then "), false);
  talk.client().abandon();
  talk.client().send(as_bytes("another"), true);
  talk.exchange();
  CHECK(talk.texts() == Strings{"another"});
  CHECK(talk.client().sender().durable_messages() == 2);
}

TEST_CASE("conversation: too large a message is refused and the session goes on") {
  ConversationOptions options;
  options.message_size_max = 3'000;
  Conversation talk(options);
  talk.connect();
  talk.send("before");
  talk.send(std::string(5'000, 'x'));
  talk.send(std::string(3'000, 'y'));
  talk.send("after");
  talk.close(End::finish);
  talk.exchange();
  CHECK(talk.client().state() == State::closed);
  CHECK(talk.texts() == Strings{"before", std::string(3'000, 'y'), "after"});
  CHECK(count(talk.client_events, "Refused 2 message_too_large") == 1);
}

TEST_CASE("conversation: a refusal is repeated in SYN-ACK until it was heard") {
  ConversationOptions options = slow_disk();
  options.message_size_max = 10;
  Conversation talk(options);
  talk.connect();
  talk.send("before");
  talk.send("this is too large");
  talk.exchange();
  // The commit's ERROR and ACK are lost with the connection.
  talk.on_the_way_to_client = [](Bytes& bytes) { bytes.clear(); };
  talk.commit();
  talk.exchange();
  CHECK_FALSE(contains(talk.client_events, "Refused"));
  // So is the first SYN-ACK that repeats it.
  talk.connect();
  talk.exchange();
  CHECK_FALSE(contains(talk.client_events, "Refused"));
  talk.on_the_way_to_client = nullptr;
  talk.connect();
  talk.exchange();
  CHECK(count(talk.client_events, "Refused 2 message_too_large") == 1);
  talk.connect();
  talk.exchange();
  CHECK(count(talk.client_events, "Refused 2") == 1);
  CHECK(talk.client().offer().refusals_heard == Seq{2});
}

TEST_CASE("conversation: a connection cut anywhere resumes with nothing lost and nothing twice") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Random random(seed);
    ConversationOptions options = small_window(static_cast<std::uint32_t>(random.between(1, 40)));
    options.read_size = random.between(1, 200);
    Conversation talk(options);
    // Each connection carries some bytes one way and some the other, then it breaks.
    const auto breaking = [&random](std::uint64_t after) {
      return [left = random.below(after)](Bytes& bytes) mutable {
        if (bytes.size() > left) bytes.resize(left);
        left -= bytes.size();
      };
    };
    send_messages(talk, 1, 60);
    talk.send(std::string(4'000, 'x'));
    talk.close(End::finish);
    for (int i = 0; i < 30 && talk.client().state() != State::closed; ++i) {
      talk.on_the_way_to_server = breaking(6'000);
      talk.on_the_way_to_client = breaking(1'000);
      talk.connect();
      talk.exchange();
    }
    talk.on_the_way_to_server = talk.on_the_way_to_client = nullptr;
    if (talk.client().state() != State::closed) {
      talk.connect();
      talk.exchange();
    }
    INFO("seed ", seed);
    // A session whose last confirmation got through is forgotten; a client that knows it is closed does not come back.
    REQUIRE(talk.client().state() == State::closed);
    Strings expected = messages(1, 60);
    expected.push_back(std::string(4'000, 'x'));
    REQUIRE(talk.texts() == expected);
  }
}

TEST_CASE("conversation: a crash of the server costs nothing that was acknowledged and nothing that was not") {
  Conversation talk(slow_disk());
  talk.connect();
  send_messages(talk, 1, 10);
  talk.exchange();
  talk.commit_through({4});
  talk.exchange();
  talk.crash();
  talk.connect();
  talk.exchange();
  CHECK(talk.client().state() == State::established);
  talk.commit();
  talk.exchange();
  CHECK(talk.texts() == messages(1, 10));
  CHECK(talk.client().sender().in_flight() == 0);
}

TEST_CASE("conversation: a takeover while a batch is on its way to the disk takes nothing twice") {
  Conversation talk(slow_disk());
  talk.connect();
  send_messages(talk, 1, 10);
  talk.exchange();
  talk.connect_beside();
  talk.exchange();
  CHECK(contains(talk.server_events, "Ended superseded"));
  CHECK(talk.client().state() == State::connecting);
  talk.commit();
  talk.exchange();
  CHECK(talk.client().state() == State::established);
  CHECK(talk.client().sender().durable_through() == Seq{10});
  CHECK(talk.texts() == messages(1, 10));
  CHECK(count(talk.frames, "> DATA") == 10);
}

TEST_CASE("conversation: a batch that is durable while no connection is there is told by the next SYN-ACK") {
  Conversation talk(slow_disk());
  talk.connect();
  send_messages(talk, 1, 10);
  talk.exchange();
  talk.cut();
  talk.commit();
  talk.connect();
  talk.exchange();
  CHECK(talk.client().sender().durable_through() == Seq{10});
  CHECK(count(talk.frames, "> DATA") == 10);
}

TEST_CASE("conversation: a resume waits for what was received before it, and nothing of that is sent again") {
  Conversation talk(slow_disk());
  talk.connect();
  send_messages(talk, 1, 10);
  talk.exchange();
  talk.connect();
  talk.exchange();
  talk.commit_through({6});
  talk.exchange();
  CHECK(talk.client().state() == State::connecting);
  talk.commit_through({10});
  talk.exchange();
  CHECK(talk.client().state() == State::established);
  CHECK(talk.client().sender().durable_through() == Seq{10});
  CHECK(count(talk.frames, "> DATA") == 10);
}

TEST_CASE("conversation: a resume that waits is told when the server stops") {
  Conversation talk(slow_disk());
  talk.connect();
  send_messages(talk, 1, 10);
  talk.exchange();
  talk.connect();
  talk.exchange();
  talk.pause(5s);
  talk.exchange();
  CHECK(talk.client_events.back() == "Failed by peer shutting_down");
  CHECK_FALSE(talk.is_connected());
}

TEST_CASE("conversation: an attempt that is not higher is refused, and the next is") {
  Conversation talk;
  talk.connect();
  talk.send("x");
  talk.exchange();
  ConversationOptions options;
  // Another program with an older copy of the client's state comes first.
  talk.on_the_way_to_server = [](Bytes& bytes) {
    if (decode_header(bytes.data()).type != FrameType::syn) return;
    auto decoded = decode_syn(ByteView(bytes).subspan(kHeaderSize));
    Syn offer = std::get<Syn>(decoded);
    offer.attempt = 1;
    bytes = syn(offer);
  };
  talk.connect();
  talk.exchange();
  CHECK(talk.client_events.back() == "Failed by peer stale_attempt");
  talk.on_the_way_to_server = nullptr;
  talk.connect();
  talk.exchange();
  CHECK(talk.client().state() == State::established);
}

TEST_CASE("conversation: a server that pauses gets everything in flight settled, and the rest later") {
  ConversationOptions options = small_window(5);
  options.commits = false;
  Conversation talk(options);
  talk.connect();
  send_messages(talk, 1, 10);
  talk.exchange();
  talk.pause(5s);
  talk.exchange();
  CHECK(talk.client_events.back() == "Pausing");
  CHECK(talk.is_connected());
  talk.commit();
  talk.exchange();
  CHECK(talk.client_events.back() == "Failed by peer shutting_down");
  CHECK_FALSE(talk.is_connected());
  CHECK(talk.texts() == messages(1, 5));
  talk.connect();
  talk.exchange();
  talk.commit();
  talk.exchange();
  CHECK(talk.texts() == messages(1, 10));
}

TEST_CASE("conversation: a client's pause leaves a session that goes on later") {
  Conversation talk;
  talk.connect();
  send_messages(talk, 1, 3);
  talk.close(End::pause);
  talk.exchange();
  CHECK(talk.client().state() == State::closed);
  CHECK(talk.sessions_kept() == 1);
  CHECK(talk.texts() == messages(1, 3));
}

TEST_CASE("conversation: a final ACK that is lost is said again to who resumes") {
  Conversation talk;
  talk.connect();
  talk.send("x");
  talk.exchange();
  talk.on_the_way_to_client = [](Bytes& bytes) { bytes.clear(); };
  talk.close(End::finish);
  talk.exchange();
  CHECK(talk.client().state() == State::detached);  // the end of the stream without a final ACK
  CHECK(talk.sessions_kept() == 1);
  talk.on_the_way_to_client = nullptr;
  talk.connect();
  talk.exchange();
  CHECK(talk.client().state() == State::closed);
  CHECK(talk.sessions_kept() == 0);
  CHECK(talk.texts() == Strings{"x"});
}

TEST_CASE("conversation: a confirmation that is lost leaves the session kept and the client done") {
  Conversation talk;
  talk.connect();
  talk.send("x");
  talk.exchange();
  talk.close(End::finish);
  talk.on_the_way_to_server = [](Bytes& bytes) {
    if (decode_header(bytes.data()).type == FrameType::ack) bytes.clear();
  };
  talk.exchange();
  CHECK(talk.client().state() == State::closed);
  CHECK(talk.sessions_kept() == 1);
}

TEST_CASE("conversation: both ends keep an idle connection alive") {
  Conversation talk;
  talk.connect();
  talk.advance(1h);
  CHECK(talk.client().state() == State::established);
  CHECK(talk.server().state() == ServerSession::State::established);
  CHECK(count(talk.frames, "KEEP-ALIVE ask") >= 179);
  CHECK(count(talk.frames, "KEEP-ALIVE ask") == count(talk.frames, "KEEP-ALIVE answer"));
}

TEST_CASE("conversation: a peer that is silent for three intervals is given up at both ends") {
  Conversation talk;
  talk.connect();
  talk.exchange();
  talk.on_the_way_to_client = talk.on_the_way_to_server = [](Bytes& bytes) { bytes.clear(); };
  talk.advance(59s);
  CHECK(talk.is_connected());
  talk.advance(1s);
  CHECK(talk.client_events.back() == "Failed peer_silent");
  CHECK(talk.server_events.back() == "Ended peer_silent");
}

TEST_CASE("conversation: a connection that is not read is not timed out, at either end") {
  Conversation talk;
  talk.connect();
  talk.exchange();
  talk.set_reading(false);
  talk.send("waits");
  talk.advance(10min);
  CHECK(talk.client().state() == State::established);
  CHECK(talk.server().state() == ServerSession::State::established);
  talk.set_reading(true);
  talk.advance(1s);
  CHECK(talk.texts() == Strings{"waits"});
}

TEST_CASE("conversation: a slow disk is not a loss") {
  Conversation talk(slow_disk());
  talk.connect();
  send_messages(talk, 1, 5);
  talk.advance(199ms);
  CHECK_FALSE(contains(talk.frames, "< ACK durable 0, received 5"));
  talk.advance(1ms);
  CHECK(count(talk.frames, "< ACK durable 0, received 5") == 1);
  talk.advance(10min);
  CHECK(talk.client().state() == State::established);
  CHECK(count(talk.frames, "> DATA") == 5);
  talk.commit();
  talk.exchange();
  CHECK(talk.texts() == messages(1, 5));
}

TEST_CASE("conversation: a damaged frame on a stream is named and sent again, at no cost but the time") {
  for (int nth = 1; nth <= 10; ++nth) {
    Conversation talk;
    talk.connect();
    talk.exchange();
    talk.on_the_way_to_server = damaging(FrameType::data, nth);
    send_messages(talk, 1, 10);
    talk.exchange();
    CHECK(talk.texts() == messages(1, 10));
    CHECK(count(talk.frames, "< ERROR bad_checksum") == 1);
    CHECK(count(talk.frames, "> SYN") == 1);
    CHECK(talk.client().sender().retransmitted() == static_cast<std::uint64_t>(11 - nth));
  }
}

TEST_CASE("conversation: a damaged DISCONNECT or ask is said again, and the close goes on") {
  Conversation talk;
  talk.connect();
  talk.send("x");
  talk.exchange();
  SUBCASE("DISCONNECT") { talk.on_the_way_to_server = damaging(FrameType::disconnect, 1); }
  SUBCASE("ask") {
    talk.on_the_way_to_server = damaging(FrameType::keep_alive, 1);
    talk.advance(21s);
  }
  talk.close(End::finish);
  talk.advance(21s);
  CHECK(talk.client().state() == State::closed);
  CHECK(count(talk.frames, "> SYN") == 1);
}

TEST_CASE("conversation: damage towards the client ends the connection, and the session resumes") {
  Conversation talk;
  talk.connect();
  talk.exchange();
  talk.on_the_way_to_client = damaging(FrameType::ack, 1);
  send_messages(talk, 1, 3);
  talk.exchange();
  CHECK(talk.client_events.back() == "Failed framing_lost");
  talk.connect();
  talk.exchange();
  CHECK(talk.client().sender().durable_through() == Seq{3});
  CHECK(talk.texts() == messages(1, 3));
}

TEST_CASE("conversation: two damaged frames in a row end the connection, and the session resumes") {
  Conversation talk;
  talk.connect();
  talk.exchange();
  talk.on_the_way_to_server = [](Bytes& bytes) {
    for (std::size_t at = 0, i = 0; at < bytes.size(); ++i) {
      const std::size_t size = kHeaderSize + decode_header(bytes.data() + at).payload_size;
      if (i == 4 || i == 5) bytes[at + 10] ^= 1;
      at += size;
    }
  };
  send_messages(talk, 1, 10);
  talk.exchange();
  CHECK(contains(talk.server_events, "Ended framing_lost"));
  talk.on_the_way_to_server = nullptr;
  talk.connect();
  talk.exchange();
  CHECK(talk.texts() == messages(1, 10));
}

TEST_CASE("conversation: the fourth damaged frame within a minute ends the connection, and the session resumes") {
  Conversation talk;
  talk.connect();
  talk.exchange();
  for (int i = 1; i <= 4; ++i) {
    talk.on_the_way_to_server = damaging(FrameType::data, 1);
    talk.send(message(i));
    talk.exchange();
    CHECK(talk.is_connected() == (i < 4));
    talk.advance(10s);
  }
  CHECK(contains(talk.server_events, "Ended framing_lost"));
  talk.connect();
  talk.exchange();
  CHECK(talk.texts() == messages(1, 4));
}

TEST_CASE("conversation: an unknown session of which nothing was acknowledged begins anew with the same messages") {
  Conversation talk(slow_disk());
  talk.connect();
  send_messages(talk, 1, 5);
  talk.exchange();
  talk.crash();
  talk.connect();
  talk.exchange();
  CHECK(talk.client_events.back() == "Failed by peer unknown_session");
  talk.connect();
  talk.exchange();
  CHECK(talk.client().state() == State::established);
  talk.commit();
  talk.exchange();
  CHECK(talk.texts() == messages(1, 5));
}

TEST_CASE("conversation: an unknown session that was acknowledged stays with its sender until its store is back") {
  Conversation talk;
  talk.connect();
  send_messages(talk, 1, 5);
  talk.exchange();
  talk.forget_sessions();
  talk.connect();
  send_messages(talk, 6, 8);
  talk.exchange();
  CHECK(talk.client_events.back() == "Failed by peer unknown_session");
  talk.connect();
  talk.exchange();
  CHECK(talk.client_events.back() == "Failed by peer unknown_session");
  CHECK(talk.texts() == messages(1, 5));
}

TEST_CASE("conversation: a store that is behind what it acknowledged is named, and nothing is sent to it") {
  Conversation talk;
  talk.connect();
  send_messages(talk, 1, 5);
  talk.exchange();
  talk.lose_behind({3});
  const auto sent = count(talk.frames, "> DATA");
  talk.connect();
  send_messages(talk, 6, 8);
  talk.exchange();
  CHECK(talk.client_events.back() == "Failed by peer store_behind");
  CHECK(count(talk.frames, "> DATA") == sent);
}

TEST_CASE("conversation: where the loss is known to be real, the session restarts behind what was acknowledged") {
  ConversationOptions options;
  options.restarts = true;
  Conversation talk(options);
  talk.connect();
  send_messages(talk, 1, 5);
  talk.exchange();
  talk.forget_sessions();
  talk.connect();
  send_messages(talk, 6, 8);
  talk.close(End::finish);
  talk.exchange();
  CHECK(talk.client().state() == State::closed);
  CHECK(talk.texts() == messages(1, 8));
}

TEST_CASE("conversation: a handshake of a byte a second is cut at its deadline") {
  ServerSession server(Instant{}, ServerOptions{});
  const Bytes hello = syn(a_syn());
  Instant now{};
  Bytes byte;
  for (std::size_t i = 0; server.state() != ServerSession::State::closed && i < hello.size(); ++i) {
    byte = {hello[i]};
    server.receive(now, byte);
    CHECK_FALSE(server.poll_event(now));
    now += 1s;
    if (server.next_deadline() <= now) server.handle_timeout(now);
  }
  CHECK(now == Instant(10s));
  const auto event = server.poll_event(now);
  REQUIRE(event);
  CHECK(std::get<server_event::Ended>(*event).error.code == ErrorCode::handshake_timeout);
}

TEST_CASE("conversation: an offer that cannot be accepted comes back with its code") {
  ConversationOptions options;
  std::string expected = "Failed by peer bad_parameter";
  SUBCASE("window 0") { options.offer.window_size = 0; }
  SUBCASE("window 65535") { options.offer.window_size = 65'535; }
  SUBCASE("packet 63") { options.offer.max_packet_size = 63; }
  SUBCASE("version") {
    options.offer.version_min = options.offer.version_max = 2;
    expected = "Failed by peer unsupported_version";
  }
  SUBCASE("client id") {
    options.offer.client_id = "../../etc/passwd";
    expected = "Failed by peer bad_client_id";
  }
  SUBCASE("a NUL in the channel") {
    options.offer.channel = std::string("a\0b", 3);
    expected = "Failed by peer bad_channel";
  }
  Conversation talk(options);
  talk.connect();
  talk.exchange();
  CHECK(talk.client_events == Strings{expected});
  CHECK_FALSE(talk.is_connected());
}

TEST_CASE("conversation: on datagrams that are lost, repeated, damaged and late, still exactly once and in order") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Random random(seed);
    ConversationOptions options = small_window(static_cast<std::uint32_t>(random.between(1, 60)));
    options.transport = Transport::datagram;
    options.seed = seed;
    options.faults = {.lost = static_cast<double>(random.below(25)),
                      .repeated = static_cast<double>(random.below(20)),
                      .damaged = static_cast<double>(random.below(10)),
                      .delay_min = Duration(1ms),
                      .delay_max = Duration(1ms) * static_cast<std::int64_t>(random.between(1, 300))};
    Conversation talk(options);
    send_messages(talk, 1, 100);
    talk.send(std::string(5'000, 'x'));
    talk.close(End::finish);
    INFO("seed ", seed);
    CHECK(talk.run_to_close(2h));
    Strings expected = messages(1, 100);
    expected.push_back(std::string(5'000, 'x'));
    REQUIRE(talk.texts() == expected);
  }
}

TEST_CASE("conversation: on datagrams that are lost and late, every refusal is heard once") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Random random(seed);
    ConversationOptions options = small_window(static_cast<std::uint32_t>(random.between(1, 60)));
    options.transport = Transport::datagram;
    options.seed = seed;
    options.message_size_max = 20;
    options.faults = {.lost = static_cast<double>(random.below(25)),
                      .repeated = static_cast<double>(random.below(20)),
                      .damaged = static_cast<double>(random.below(10)),
                      .delay_min = Duration(1ms),
                      .delay_max = Duration(1ms) * static_cast<std::int64_t>(random.between(1, 300))};
    Conversation talk(options);
    std::vector<std::uint64_t> too_large;
    for (std::uint64_t number = 1; number <= 60; ++number) {
      const bool is_too_large = random.chance(30);
      if (is_too_large) too_large.push_back(number);
      talk.send(is_too_large ? std::string(21, 'x') : "small");
    }
    talk.close(End::finish);
    INFO("seed ", seed);
    CHECK(talk.run_to_close(2h));
    CHECK(talk.texts().size() == 60 - too_large.size());
    CHECK(count(talk.client_events, "Refused") == too_large.size());
    for (const std::uint64_t number : too_large)
      REQUIRE(count(talk.client_events, "Refused " + std::to_string(number) + " message_too_large") == 1);
  }
}

TEST_CASE("conversation: on datagrams a refusal is heard before its number is told durable") {
  ConversationOptions options = slow_disk();
  options.transport = Transport::datagram;
  options.message_size_max = 10;
  Conversation talk(options);
  talk.connect();
  talk.send("this is too large");
  talk.exchange();
  talk.commit();
  talk.exchange();
  REQUIRE(talk.client_events.size() == 3);
  CHECK(talk.client_events[1] == "Refused 1 message_too_large");
  CHECK(talk.client_events[2] == "Acked 1");
}

TEST_CASE("conversation: who comes back without what it sent hears of all that was received") {
  Conversation talk(slow_disk());
  talk.connect();
  send_messages(talk, 1, 10);
  talk.exchange();
  talk.commit_through({4});
  talk.exchange();
  talk.restart_client();
  talk.connect();
  talk.exchange();
  CHECK(talk.client().state() == State::connecting);  // what was received is not durable yet
  talk.commit();
  talk.exchange();
  CHECK(talk.client().state() == State::established);
  CHECK(talk.client().sender().durable_through() == Seq{10});
  talk.send("eleven");
  talk.exchange();
  talk.commit();
  talk.close(End::finish);
  talk.exchange();
  CHECK(talk.client().state() == State::closed);
  CHECK(talk.texts().size() == 11);
}
