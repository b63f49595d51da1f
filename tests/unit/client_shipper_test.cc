#include "client/shipper.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "client/kept_lines.h"
#include "client/text_source.h"
#include "tests/support/endpoints.h"

using namespace cproto;
using namespace cproto::client;
using namespace cproto::test;

namespace {

// A client session at a server of the test's own, and a shipper that fills it from texts.
class Rig final : Shipper::Listener {
 public:
  explicit Rig(std::vector<std::string> texts, std::uint64_t message_size_max = 0)
      : source(std::move(texts)), shipper(end.session, source, tally, *this, nullptr) {
    SynAck terms = some_terms();
    terms.message_size_max = message_size_max;
    terms.max_packet_size = 64;
    end.reach_established(terms);
    shipper.on_terms(terms);
  }

  // One pump and what goes out for it.
  std::string pump() {
    shipper.pump();
    end.turn();
    return end.said();
  }
  void acknowledge(std::uint64_t number) {
    const std::string events = end.hears(ack_through(number));
    REQUIRE(events.find("Acked") != std::string::npos);
    shipper.on_acked({end.session.sender().durable_through(), end.session.sender().durable_messages()});
  }

  ClientEnd end;
  Tally tally;
  TextSource source;
  Shipper shipper;
  std::vector<std::string> refused;

 private:
  void on_refused(const Tally::Refused& what) override { refused.push_back(what.name + ": " + what.reason); }
  void on_problem(const Problem&) override {}
  void on_note(const std::string&) override {}
};

}  // namespace

TEST_CASE("shipper: messages become frames, and behind the last one the session is closed") {
  Rig rig({"a", std::string(100, 'b'), ""});
  CHECK(rig.pump() == "DATA, FRAGMENT, DATA, DATA, DISCONNECT");
  CHECK(rig.tally.read == 3);
  CHECK(rig.tally.durable == 0);
  CHECK_FALSE(rig.shipper.is_settled());
  rig.acknowledge(3);
  CHECK(rig.tally.durable == 2);
  CHECK(rig.tally.durable_bytes == 101);
  rig.acknowledge(4);
  CHECK(rig.tally.durable == 3);
  CHECK(rig.shipper.is_settled());
}

TEST_CASE("shipper: a message larger than the server takes is never sent, and is named") {
  Rig rig({"a", std::string(33, 'b'), "c"}, 32);
  CHECK(rig.pump() == "DATA, DATA, DISCONNECT");
  CHECK(rig.refused == std::vector<std::string>{"message 2: larger than 32 B"});
  CHECK(rig.tally.refused == 1);
  CHECK(rig.tally.read == 3);
  rig.acknowledge(2);
  CHECK(rig.tally.durable == 2);
}

TEST_CASE("shipper: what the server refuses is named by its place in the source") {
  Rig rig({std::string(100, 'x'), "b", "c"});
  CHECK(rig.pump() == "FRAGMENT, DATA, DATA, DATA, DISCONNECT");
  rig.shipper.on_refused({{ErrorCode::kind_not_accepted, {3}}, "not here"});
  CHECK(rig.refused == std::vector<std::string>{"message 2: not here"});
  rig.acknowledge(4);
  CHECK(rig.tally.durable == 2);
  CHECK(rig.tally.refused == 1);
}

TEST_CASE("shipper: refusals beyond a hundred are counted, not named") {
  Rig rig(std::vector<std::string>(150, std::string(33, 'x')), 32);
  CHECK(rig.pump() == "DISCONNECT");
  CHECK(rig.tally.refused == 150);
  CHECK(rig.tally.refused_named.size() == kNamedMax);
}

namespace {

// A source that says what it is told to.
class Scripted final : public Source {
 public:
  explicit Scripted(std::vector<Piece> pieces) : pieces_(std::move(pieces)) {}
  Piece peek(std::size_t) override { return index_ < pieces_.size() ? pieces_[index_] : Piece{}; }
  void take(std::size_t bytes, bool is_complete) override {
    CHECK(is_complete);
    CHECK(bytes == pieces_[index_].bytes.size());
    ++index_;
  }
  void skip() override { ++index_; }
  void stop() override {}
  bool is_drained() override { return true; }
  std::string name(std::uint64_t number) const override { return std::to_string(number); }
  Noun noun() const override { return {"x", "xs"}; }

 private:
  std::vector<Piece> pieces_;
  std::size_t index_ = 0;
};

struct Quiet final : Shipper::Listener {
  void on_refused(const Tally::Refused&) override {}
  void on_problem(const Problem&) override {}
  void on_note(const std::string&) override {}
};

// What `pieces` become on the wire at a server that takes messages of `message_size_max` bytes.
std::string shipped(std::vector<Piece> pieces, Tally& tally, std::uint64_t message_size_max = 0) {
  ClientEnd end;
  SynAck terms = some_terms();
  terms.message_size_max = message_size_max;
  end.reach_established(terms);
  Scripted source(std::move(pieces));
  Quiet quiet;
  Shipper shipper(end.session, source, tally, quiet, nullptr);
  shipper.on_terms(terms);
  while (shipper.pump()) {
  }
  end.turn();
  return end.said();
}

Piece part(std::string_view text) { return {Piece::Kind::part, as_bytes(text), false, {}}; }
Piece last(std::string_view text) { return {Piece::Kind::part, as_bytes(text), true, {}}; }
Piece broken() { return {Piece::Kind::broken, {}, false, {Status::io_error, "it broke"}}; }

}  // namespace

TEST_CASE("shipper: a message that grows too large is given up where it is, and the rest goes on") {
  Tally tally;
  CHECK(shipped({part("0123456789"), part("0123456789"), last("b")}, tally, 15) ==
        "FRAGMENT, HEADER, DATA, DISCONNECT");
  CHECK(tally.refused == 1);
  CHECK(tally.read == 2);
}

TEST_CASE("shipper: a message that cannot be read to its end is given up, too") {
  Tally tally;
  CHECK(shipped({part("0123456789"), broken(), broken(), last("b")}, tally) == "FRAGMENT, HEADER, DATA, DISCONNECT");
  CHECK(tally.problems.size() == 2);
}

TEST_CASE("shipper: a source that ends within a message does not end that message") {
  Tally tally;
  CHECK(shipped({last("a"), part("0123456789")}, tally) == "DATA, FRAGMENT, HEADER, DISCONNECT");
  CHECK(tally.read == 1);
}

namespace {

// A file that somebody writes to.
class Typed final : public PlacedInput {
 public:
  Typed(std::string& text, const int& error) : text_(text), error_(error) {}
  int begin() override { return 0; }
  Bytes place() const override {
    Bytes bytes;
    ByteWriter(bytes).u64(offset_);
    return bytes;
  }
  std::uint64_t generation() const override { return 0; }
  int knows(ByteView, bool& is_known) const override {
    is_known = true;
    return 0;
  }
  int resume(ByteView, std::uint64_t) override { return 0; }
  Got fill() override {
    if (error_ != 0) return Got::failed;
    return std::exchange(seen_, text_.size()) < text_.size() ? Got::some : Got::wait;
  }
  int error() const override { return error_; }
  ByteView data() const override { return as_bytes(text_).first(seen_).subspan(offset_); }
  void consume(std::size_t bytes) override { offset_ += bytes; }
  bool is_stream() const override { return false; }
  bool has_writer() const override { return false; }

 private:
  std::string& text_;
  const int& error_;
  std::size_t seen_ = 0;
  std::size_t offset_ = 0;
};

// A shipper of lines whose places are remembered.
class KeptRig final : Shipper::Listener {
 public:
  KeptRig()
      : source("log", std::make_unique<Typed>(text, error), true, [] { return Instant{}; }),
        shipper(end.session, source, tally, *this,
                [this](bool must_last) { marks += must_last ? "lasts " : "mark "; }) {
    SynAck terms = some_terms();
    terms.message_size_max = 100;
    terms.max_packet_size = 64;
    end.reach_established(terms);
    shipper.on_terms(terms);
  }
  std::string type(const std::string& more) {
    text += more;
    marks.clear();
    shipper.pump();
    end.turn();
    return end.said();
  }

  ClientEnd end;
  Tally tally;
  std::string text;
  int error = 0;
  KeptLines source;
  std::string marks;
  Shipper shipper;

 private:
  void on_refused(const Tally::Refused&) override {}
  void on_problem(const Problem&) override {}
  void on_note(const std::string&) override {}
};

}  // namespace

TEST_CASE("shipper: what is too large is given up when its end is known, with a bookmark that lasts") {
  KeptRig rig;
  CHECK(rig.type(std::string(64, 'x')) == "FRAGMENT");
  CHECK(rig.marks == "lasts ");                   // without the first one a later run would begin anew
  CHECK(rig.type(std::string(64, 'x')).empty());  // too large by now, and nobody knows where the next line begins
  CHECK(rig.tally.refused == 1);
  CHECK(rig.type("xxx").empty());
  CHECK(rig.marks.empty());
  CHECK(rig.type("x\nnext\n") == "HEADER, DATA");
  CHECK(rig.marks == "lasts ");
  const Bookmark& mark = rig.shipper.bookmarks().all().back();
  CHECK(mark.messages == 1);
  CHECK(mark.place.back() == 64 + 64 + 5);
}

TEST_CASE("shipper: lines that cannot be read any more are left for a later run") {
  KeptRig rig;
  CHECK(rig.type("a\n" + std::string(64, 'x')) == "DATA, FRAGMENT");
  rig.error = EIO;
  CHECK(rig.type("rest\nnext\n") == "DISCONNECT");
  CHECK(rig.end.session.is_paused());
  CHECK(rig.tally.read == 1);
  REQUIRE(rig.tally.problems.size() == 1);
  CHECK(rig.tally.problems[0].status == Status::io_error);
}

TEST_CASE("shipper: lines that were read together are counted, and a refused one among them is named, one by one") {
  KeptRig rig;
  CHECK(rig.type("a\n\nccc\nd") == "DATA, DATA, DATA");
  CHECK(rig.tally.read == 3);
  rig.shipper.on_refused({{ErrorCode::kind_not_accepted, {2}}, "not here"});
  CHECK(rig.type("d\ne\n") == "DATA, DATA");
  CHECK(rig.tally.read == 5);
  rig.shipper.on_refused({{ErrorCode::kind_not_accepted, {5}}, "not here"});
  REQUIRE(rig.tally.refused_named.size() == 2);
  CHECK(rig.tally.refused_named[0].name == "line 2");
  CHECK(rig.tally.refused_named[1].name == "line 5");
}

TEST_CASE("shipper: of lines that were read together one that is too large, or takes several frames, is told apart") {
  KeptRig rig;
  const std::string cut(80, 'c');
  const std::string large(101, 'l');
  CHECK(rig.type("a\n" + cut + "\nb\n" + large + "\nc\n") == "DATA, FRAGMENT, DATA, DATA, DATA");
  CHECK(rig.tally.read == 5);
  REQUIRE(rig.tally.refused_named.size() == 1);
  CHECK(rig.tally.refused_named[0].name == "line 4");
  CHECK(rig.marks == "lasts lasts ");  // at the beginning, and behind the line that was not sent
  const Bookmark& mark = rig.shipper.bookmarks().all().back();
  CHECK(mark.messages == 3);
  CHECK(mark.place.back() == 2 + 81 + 2 + 102);
}

namespace {

// Files of which nothing but a header is ever sent; a place is the number of files before it.
class Headers final : public Source {
 public:
  Piece peek(std::size_t) override {
    if (must_restart_) return {Piece::Kind::restart, {}, false, {}};
    if (is_stopped_ || index_ == 3) return {};
    if (is_begun_) return {Piece::Kind::wait, {}, false, {}};
    return {Piece::Kind::header, {}, false, {}, {MessageKind::file, {}, {name(index_ + 1), {}, {}, {}}, {}}, {}};
  }
  void take(std::size_t, bool) override {
    if (std::exchange(must_restart_, false)) return;
    is_begun_ = true;
    begun.push_back(name(index_ + 1));
  }
  void skip() override {
    must_restart_ = is_begun_ = false;
    must_mark_ = true;
    ++index_;
  }
  void stop() override { is_stopped_ = true; }
  bool is_drained() override { return true; }
  std::optional<Bytes> take_bookmark() override {
    if (!std::exchange(must_mark_, false)) return std::nullopt;
    return Bytes{static_cast<std::uint8_t>(index_)};
  }
  Resumed resume(const Bookmark&, const Progressed& progressed) override {
    index_ = progressed.messages;
    must_restart_ = progressed.message_bytes.has_value();
    return {index_, "", {}};
  }
  bool can_continue() const override { return true; }
  std::string name(std::uint64_t number) const override { return "file-" + std::to_string(number); }
  Noun noun() const override { return {"file", "files"}; }

  std::vector<std::string> begun;

 private:
  std::uint64_t index_ = 0;
  bool is_begun_ = false;
  bool must_restart_ = false;
  bool must_mark_ = false;
  bool is_stopped_ = false;
};

}  // namespace

TEST_CASE("shipper: a file that an earlier run heard to be refused is not begun anew") {
  ClientOptions options = ClientEnd::some_options();
  options.offer.resume = Syn::Resume{session_id(), store_id(), {4}, 30, 1};
  options.offer.refusals_heard = {4};
  ClientEnd end(options);
  SynAck terms = some_terms();
  terms.outcome = SynAck::Outcome::resumed;
  terms.durable_through = {5};
  terms.durable_messages = 1;
  terms.durable_bytes = 40;
  terms.unfinished = SynAck::Unfinished{{4}, 10, MessageKind::file};
  end.reach_established(terms);
  Headers source;
  Tally tally;
  Quiet quiet;
  Shipper shipper(end.session, source, tally, quiet, [](bool) {});
  shipper.restore({}, {{Status::data_error, "file-2: does not fit"}});
  shipper.on_terms(terms);
  while (shipper.pump()) {
  }
  end.turn();
  CHECK(source.begun == std::vector<std::string>{"file-3"});
  CHECK(end.said() == "HEADER, HEADER");
  CHECK(tally.refused == 0);  // that was told
  end.hears(ack_through(6));
  shipper.on_acked({{6}, end.session.sender().durable_messages()});
  CHECK(tally.durable == 1);
}

TEST_CASE("shipper: a file that was left is given up before a pause, with the bookmark behind it") {
  ClientEnd end;
  end.reach_established();
  Headers source;
  Tally tally;
  Quiet quiet;
  Shipper shipper(end.session, source, tally, quiet, [](bool) {});
  shipper.on_terms(some_terms());
  shipper.pump();
  end.turn();
  CHECK(end.said() == "HEADER");
  shipper.on_refused({{ErrorCode::no_space_for_file, {1}}, ""});
  shipper.stop();
  shipper.pump();
  end.turn();
  CHECK(end.said() == "HEADER, DISCONNECT");
  REQUIRE(shipper.bookmarks().all().size() == 1);
  CHECK(shipper.bookmarks().all().back().messages == 1);
}
