#include "daemon/peer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "daemon/session_name.h"
#include "tests/support/frames.h"
#include "tests/support/store_end.h"

using namespace cproto;
using namespace cproto::test;

namespace {

// One connection at a store, and what was written to it.
class PeerEnd final : private Wire {
 public:
  explicit PeerEnd(StoreEnd& host)
      : host_(host),
        peer_(host.disk.now(), *host.store, *this, host.log, counters, host.world, "192.0.2.9:51234", {}, 1u << 20) {}

  // The names of the frames written since.
  std::string hears(ByteView bytes) {
    written_.clear();
    peer_.receive(bytes);
    return said();
  }
  std::string waits_for_disk() {
    written_.clear();
    host_.sync();
    return said();
  }
  std::string finds_no_room() {
    written_.clear();
    peer_.on_full();
    return said();
  }
  std::string times_out_after(Duration duration) {
    written_.clear();
    host_.run(duration);
    peer_.handle_timeout();
    return said();
  }
  // An operator ends what has the session.
  std::string is_kicked(StoreEnd& host) {
    written_.clear();
    host.store->visit_sessions("host-1", [](SessionEntry& entry) { entry.holder->on_kicked(); });
    return said();
  }
  void loses_connection() { peer_.on_lost(); }
  std::string said() const { return names_in(written_); }
  SynAck terms() const { return std::get<SynAck>(decode_syn_ack(frames_in(written_).at(0).payload)); }
  Error error() const { return *decode_error(frames_in(written_).at(0).payload); }
  bool is_finished() const { return is_finished_; }

  PeerCounters counters;

 private:
  bool can_write() override { return true; }
  Bytes& write_buffer() override {
    buffer_.clear();
    return buffer_;
  }
  void write() override { append(written_, buffer_); }
  void set_deadline(Instant) override {}
  void shut_down() override {}
  void finish() override { is_finished_ = true; }
  void set_reading(bool) override {}

  StoreEnd& host_;
  Bytes buffer_;
  Bytes written_;
  bool is_finished_ = false;
  Peer peer_;
};

Syn resuming(const SynAck& terms, std::uint64_t attempt, std::uint64_t acknowledged = 0) {
  Syn syn = a_syn();
  syn.attempt = attempt;
  syn.resume = Syn::Resume{terms.session, terms.store, {acknowledged}, acknowledged, acknowledged};
  return syn;
}

// A session of which number 1 is durable. Its terms.
SynAck begin_session(StoreEnd& host) {
  PeerEnd peer(host);
  peer.hears(syn(a_syn()));
  const SynAck terms = peer.terms();
  peer.hears(join({confirmation(terms.session), data(1, "a")}));
  CHECK(peer.waits_for_disk() == "ACK");
  return terms;
}

}  // namespace

TEST_CASE("peer: a resume is answered once everything received is durable") {
  StoreEnd host;
  REQUIRE(host.open().empty());
  PeerEnd first(host);
  first.hears(syn(a_syn()));
  const SynAck terms = first.terms();
  first.hears(join({confirmation(terms.session), data(1, "a"), data(2, "b")}));
  PeerEnd second(host);
  CHECK(second.hears(syn(resuming(terms, 2))).empty());
  CHECK(first.is_finished());
  CHECK(second.waits_for_disk() == "SYN-ACK");
  CHECK(second.terms().durable_through == Seq{2});
  CHECK(second.terms().durable_messages == 2);
  CHECK(second.hears(join({confirmation(terms.session), data(3, "c")})).empty());
  CHECK(second.waits_for_disk() == "ACK");
}

TEST_CASE("peer: a resume is answered at once where nothing is on its way to the disk") {
  StoreEnd host;
  REQUIRE(host.open().empty());
  const SynAck terms = begin_session(host);
  PeerEnd peer(host);
  CHECK(peer.hears(syn(resuming(terms, 2, 1))) == "SYN-ACK");
  CHECK(peer.terms().durable_through == Seq{1});
}

TEST_CASE("peer: a refusal that becomes durable while a resume waits is said by its SYN-ACK and not again") {
  StoreEnd host;
  host.options.registry.message_size_max = 10;
  REQUIRE(host.open().empty());
  PeerEnd first(host);
  first.hears(syn(a_syn()));
  const SynAck terms = first.terms();
  first.hears(join({confirmation(terms.session), data(1, "this is too large")}));
  PeerEnd second(host);
  CHECK(second.hears(syn(resuming(terms, 2))).empty());
  CHECK(second.waits_for_disk() == "SYN-ACK");
  CHECK(second.terms().refusals == std::vector<Refusal>{{ErrorCode::message_too_large, {1}}});
  CHECK(second.hears(join({confirmation(terms.session), data(2, "b")})).empty());
  CHECK(second.waits_for_disk() == "ACK");
}

TEST_CASE("peer: a resume that waits is taken over like any other connection") {
  StoreEnd host;
  REQUIRE(host.open().empty());
  PeerEnd first(host);
  first.hears(syn(a_syn()));
  const SynAck terms = first.terms();
  first.hears(join({confirmation(terms.session), data(1, "a")}));
  PeerEnd second(host);
  CHECK(second.hears(syn(resuming(terms, 2))).empty());
  PeerEnd third(host);
  CHECK(third.hears(syn(resuming(terms, 3))).empty());
  CHECK(second.error().code == ErrorCode::superseded);
  CHECK(second.is_finished());
  CHECK(third.waits_for_disk() == "SYN-ACK");
}

TEST_CASE("peer: a resume that waits for a slow disk until its deadline is told so, and not called a stranger") {
  StoreEnd host;
  REQUIRE(host.open().empty());
  PeerEnd first(host);
  first.hears(syn(a_syn()));
  const SynAck terms = first.terms();
  host.disk.latency = [](const Job&) { return Duration(60s); };
  first.hears(join({confirmation(terms.session), data(1, "a")}));
  PeerEnd second(host);
  second.hears(syn(resuming(terms, 2)));
  CHECK(second.times_out_after(11s) == "ERROR");
  CHECK(second.error().code == ErrorCode::handshake_timeout);
  CHECK(second.is_finished());
  CHECK(host.log.contains("comes back"));
  CHECK_FALSE(host.log.contains("is no client"));
}

TEST_CASE("peer: who asks for more than is behind an acknowledgement here is not called a stranger") {
  StoreEnd host;
  REQUIRE(host.open().empty());
  PeerEnd peer(host);
  peer.hears(syn(a_syn()));
  peer.hears(error(ErrorCode::not_durable_enough));
  CHECK(peer.is_finished());
  CHECK(host.log.contains("asks for more"));
  CHECK_FALSE(host.log.contains("is no client"));
}

TEST_CASE("peer: while the disk is full whoever waits for it is told to come back, and so is whoever comes") {
  StoreEnd host;
  REQUIRE(host.open().empty());
  PeerEnd waiting(host);
  PeerEnd idle(host);
  for (PeerEnd* peer : {&waiting, &idle}) {
    peer->hears(syn(a_syn()));
    peer->hears(confirmation(peer->terms().session));
  }
  host.disk.fault = [](const FileOp& op, const std::string&) { return op.kind == FileOp::Kind::write ? ENOSPC : 0; };
  waiting.hears(data(1, "a"));
  host.run(50ms);
  CHECK(waiting.error().code == ErrorCode::disk_full);
  CHECK(waiting.error().retry_after_ms > 0);
  CHECK(waiting.is_finished());
  CHECK(waiting.counters.refused[ErrorCode::disk_full] == 1);
  CHECK_FALSE(idle.is_finished());
  PeerEnd newcomer(host);
  for (PeerEnd* peer : {&idle, &newcomer}) {
    CHECK(peer->finds_no_room() == "ERROR");
    CHECK(peer->error().code == ErrorCode::disk_full);
    CHECK(peer->is_finished());
    CHECK(peer->counters.refused[ErrorCode::disk_full] == 1);
  }
  CHECK_FALSE(host.log.contains("is no client"));
}

TEST_CASE("peer: a store that lost what it acknowledged says how far it is, and nothing where it knows nothing") {
  StoreEnd host;
  REQUIRE(host.open().empty());
  SynAck terms = begin_session(host);
  ErrorCode code = ErrorCode::store_behind;
  std::uint64_t number = 1;
  SUBCASE("store_behind") {}
  SUBCASE("unknown_session") {
    terms.session = id_of(9);
    code = ErrorCode::unknown_session;
    number = 0;
  }
  SUBCASE("other_store") {
    terms.store = id_of(9);
    code = ErrorCode::other_store;
    number = 0;
  }
  PeerEnd peer(host);
  CHECK(peer.hears(syn(resuming(terms, 2, 7))) == "ERROR");
  CHECK(peer.error().code == code);
  CHECK(peer.error().number == number);
}

TEST_CASE("peer: a session's one line says who, from where, what was agreed, what came and how it ended") {
  StoreEnd host;
  REQUIRE(host.open().empty());
  PeerEnd peer(host);
  peer.hears(syn(a_syn()));
  const SynAck terms = peer.terms();
  peer.hears(join({confirmation(terms.session), data(1, "a"), data(2, "bc")}));
  peer.waits_for_disk();
  const std::size_t before = host.log.lines.size();
  peer.hears(join({disconnect(Disconnect::End::finish, 2)}));
  peer.hears(confirmation_of_close(2, terms.session));
  REQUIRE(host.log.lines.size() == before + 1);
  const std::string session = short_name(terms.session);
  CHECK(host.log.lines.back().starts_with("host-1 (192.0.2.9:51234) session " + session + " (burst, window "));
  CHECK(host.log.lines.back().find("): 2 messages, 3 B in ") != std::string::npos);
  CHECK(host.log.lines.back().ends_with("; finished"));
  CHECK(host.log.events.back() == LogEvent::session_ended);
  CHECK(host.log.entries.back().find("\nCPROTO_CLIENT=host-1\nCPROTO_SESSION=" + session +
                                     "\nCPROTO_PEER=192.0.2.9:51234\nCPROTO_CHANNEL=messages\n") != std::string::npos);
}

TEST_CASE("peer: a connection lost and regained are a line each, and a session that lasts is one more") {
  StoreEnd host;
  REQUIRE(host.open().empty());
  SynAck terms;
  {
    PeerEnd peer(host);
    peer.hears(syn(a_syn()));
    terms = peer.terms();
    peer.hears(join({confirmation(terms.session), data(1, "a")}));
    peer.waits_for_disk();
    for (int i = 0; i < 7; ++i) {
      host.run(10s);
      peer.hears(join({keep_alive({})}));
    }
    CHECK(host.log.count("has lasted a minute (burst") == 1);
    peer.loses_connection();
  }
  CHECK(host.log.lines.back().ends_with("; connection lost"));
  CHECK(host.log.events.back() == LogEvent::connection_lost);
  PeerEnd peer(host);
  peer.hears(syn(resuming(terms, 2, 1)));
  peer.hears(confirmation(terms.session));
  CHECK(host.log.lines.back().find(" goes on behind 1 message (burst") != std::string::npos);
  CHECK(host.log.events.back() == LogEvent::connection_regained);
}

TEST_CASE("peer: what a client says when it ends the connection cannot pass for a line of ours") {
  StoreEnd host;
  REQUIRE(host.open().empty());
  PeerEnd peer(host);
  peer.hears(syn(a_syn()));
  peer.hears(confirmation(peer.terms().session));
  Error error = Error::of(ErrorCode::malformed_frame);
  error.sentence = "x\nlistening on everything\x1b[2J";
  Bytes payload;
  encode_error(error, payload);
  peer.hears(frame_of(FrameType::error, payload));
  CHECK(host.log.lines.back().ends_with("; the client: malformed_frame, x\\x0alistening on everything\\x1b[2J"));
}

TEST_CASE("peer: one that is sent away by hand is told when to come back, and its session stays") {
  StoreEnd host;
  REQUIRE(host.open().empty());
  PeerEnd peer(host);
  peer.hears(syn(a_syn()));
  const SynAck terms = peer.terms();
  peer.hears(join({confirmation(terms.session), data(1, "a")}));
  peer.waits_for_disk();
  CHECK(peer.is_kicked(host) == "ERROR");
  CHECK(peer.error().code == ErrorCode::kicked);
  CHECK(peer.error().retry_after_ms == 1000);
  CHECK(peer.is_finished());
  PeerEnd again(host);
  CHECK(again.hears(syn(resuming(terms, 2, 1))) == "SYN-ACK");
}

TEST_CASE("peer: duplicates and refusals are counted while the connection lasts") {
  StoreEnd host;
  REQUIRE(host.open().empty());
  PeerEnd peer(host);
  peer.hears(syn(a_syn()));
  peer.hears(join({confirmation(peer.terms().session), data(1, "a")}));
  peer.hears(data(1, "a"));
  peer.waits_for_disk();
  CHECK(peer.counters.duplicates == 1);
  CHECK(peer.counters.messages == 1);
  CHECK(peer.counters.acknowledgements == 1);
  PeerEnd stranger(host);
  Syn unknown = resuming(SynAck{}, 2, 1);
  stranger.hears(syn(unknown));
  CHECK(stranger.counters.refused[ErrorCode::other_store] == 1);
  REQUIRE(stranger.counters.last_refused.find("host-1") != nullptr);
  CHECK(stranger.counters.last_refused.find("host-1")->peer == "192.0.2.9:51234");
}

// --- no room ---

namespace {

// A store whose disk has as much room as a test says.
struct SmallHost : StoreEnd {
  SmallHost() {
    disk.space = [this](const std::string&) { return SpaceStatus{free, 100u << 20, 1}; };
    options.space.free_space = 1u << 20;
    REQUIRE(open().empty());
  }
  void fill(std::uint64_t left = 0) {
    free = left;
    run(30s);
  }
  std::uint64_t free = 50u << 20;
};

}  // namespace

TEST_CASE("peer: below the floor a client that connects is told why, and when to come back") {
  SmallHost host;
  host.fill();
  PeerEnd peer(host);
  CHECK(peer.hears(syn(a_syn())) == "ERROR");
  CHECK(peer.error().code == ErrorCode::disk_full);
  CHECK(peer.error().error_class == ErrorClass::retry_after);
  CHECK(peer.error().sentence == "disk below its floor (0 of 1 MiB free)");
  CHECK(peer.counters.refused[ErrorCode::disk_full] == 1);
}

TEST_CASE("peer: below the floor one that is connected is told when it sends, and nothing of that is taken") {
  SmallHost host;
  PeerEnd peer(host);
  peer.hears(syn(a_syn()));
  const SynAck terms = peer.terms();
  peer.hears(join({confirmation(terms.session), data(1, "a")}));
  CHECK(peer.waits_for_disk() == "ACK");
  host.fill();
  CHECK(peer.hears(join({data(2, "b"), data(3, "c")})) == "ERROR");
  CHECK(peer.error().code == ErrorCode::disk_full);
  CHECK(peer.is_finished());
  host.rest();
  CHECK(host.log_text("host-1") == "a\n");
  host.fill(50u << 20);
  PeerEnd again(host);
  again.hears(syn(resuming(terms, 2, 1)));
  CHECK(again.terms().durable_through == Seq{1});
  again.hears(join({confirmation(terms.session), data(2, "b"), data(3, "c")}));
  host.rest();
  CHECK(host.log_text("host-1") == "a\nb\nc\n");
}

TEST_CASE("peer: below the floor what was sent before is acknowledged, and the session can end") {
  SmallHost host;
  PeerEnd peer(host);
  peer.hears(syn(a_syn()));
  peer.hears(join({confirmation(peer.terms().session), data(1, "a")}));
  host.fill();
  CHECK(peer.said() != "ERROR");
  CHECK(peer.hears(disconnect(Disconnect::End::finish, 1)) == "ACK");
}
