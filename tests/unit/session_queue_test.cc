#include "daemon/session_queue.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "proto/codec.h"
#include "tests/support/frames.h"

using namespace cproto;
using namespace cproto::test;

namespace {

// A queue, and frames that come into it as a receiver hands them on.
struct Input {
  void frame(FrameType type, ByteView payload) {
    Bytes bytes;
    encode_frame(type, to_wire(position.through.next()), payload, bytes);
    server_event::Received run;
    run.first = position.through.next();
    run.count = 1;
    run.payload_bytes = payload.size();
    run.frames = bytes;
    advance(position, decode_header(bytes.data()), payload, MessageKind::text);
    run.after = position;
    queue.push(run);
  }
  void message(const std::string& text) { frame(FrameType::data, as_bytes(text)); }
  void fragment(const std::string& text) { frame(FrameType::fragment, as_bytes(text)); }
  void header(const MessageHeader& header) {
    Bytes payload;
    encode_message_header(header, payload);
    frame(FrameType::header, payload);
  }
  // The rest of a message that is refused.
  void skip(bool ends, ErrorCode code = ErrorCode::none) {
    server_event::Skipped skipped;
    skipped.number = position.through = position.through.next();
    skipped.ends_message = ends;
    if (code != ErrorCode::none) skipped.refusal = {code, position.message.first};
    position.message.is_refused = !ends;
    if (ends) {
      position.message = {};
      ++position.messages;
    }
    skipped.after = position;
    queue.push(skipped);
  }
  Pack pack(std::size_t bytes = 1000, std::size_t pieces = 100) { return queue.pack({bytes, pieces}); }

  Position position;
  SessionQueue queue{Position{}, MessageKind::text};
};

std::vector<std::string> pieces(const Pack& pack) {
  std::vector<std::string> texts;
  std::string_view rest = as_text(pack.payload);
  for (const std::size_t size : pack.sizes) {
    texts.emplace_back(rest.substr(0, size));
    rest.remove_prefix(size);
  }
  CHECK(rest.empty());
  return texts;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("session queue: messages that wait are one pack") {
  Input input;
  input.message("one");
  input.message("");
  input.message("three");
  const Pack pack = input.pack();
  CHECK(pieces(pack) == Texts{"one", "", "three"});
  CHECK(pack.after.through == Seq{3});
  CHECK(pack.after.messages == 3);
  CHECK(pack.after.bytes == 8);
  CHECK_FALSE(pack.is_rest);
  CHECK_FALSE(pack.has_more);
  CHECK(input.queue.is_empty());
  CHECK(input.queue.size() == 0);
}

TEST_CASE("session queue: a pack ends before it is too large, and the rest is the next one") {
  Input input;
  for (const char* text : {"aaaa", "bbbb", "cc"}) input.message(text);
  const Pack first = input.pack(8);
  CHECK(pieces(first) == Texts{"aaaa", "bbbb"});
  CHECK(first.after.through == Seq{2});
  CHECK(pieces(input.pack(8)) == Texts{"cc"});
}

TEST_CASE("session queue: a message that is larger than a pack has one of its own") {
  Input input;
  input.message("larger than that");
  input.message("b");
  CHECK(pieces(input.pack(1)) == Texts{"larger than that"});
  CHECK(pieces(input.pack(1)) == Texts{"b"});
}

TEST_CASE("session queue: a pack has no more pieces than it may") {
  Input input;
  for (int i = 0; i < 5; ++i) input.message("x");
  CHECK(input.pack(1000, 3).sizes.size() == 3);
  CHECK(input.pack(1000, 3).sizes.size() == 2);
}

TEST_CASE("session queue: fragments that wait together are one piece") {
  Input input;
  input.fragment("ab");
  input.fragment("cd");
  input.message("e");
  input.message("f");
  CHECK(pieces(input.pack()) == Texts{"abcde", "f"});
}

TEST_CASE("session queue: a message that is not whole yet goes on in the next pack") {
  Input input;
  input.message("a");
  input.fragment("be");
  const Pack first = input.pack();
  CHECK(pieces(first) == Texts{"a", "be"});
  CHECK(first.has_more);
  CHECK(first.after.message.bytes == 2);
  input.fragment("gi");
  const Pack second = input.pack();
  CHECK(second.is_rest);
  CHECK(second.has_more);
  input.message("n");
  input.message("z");
  const Pack third = input.pack();
  CHECK(third.is_rest);
  CHECK_FALSE(third.has_more);
  CHECK(pieces(third) == Texts{"n", "z"});
}

TEST_CASE("session queue: a message that is given up leaves nothing of it in the pack") {
  Input input;
  input.message("a");
  input.fragment("half");
  input.header({});
  input.message("b");
  const Pack pack = input.pack();
  CHECK(pieces(pack) == Texts{"a", "b"});
  CHECK(pack.after.messages == 3);
}

TEST_CASE("session queue: behind a message that was begun in an earlier pack and given up no rest follows") {
  Input input;
  input.fragment("half");
  CHECK(input.pack().has_more);
  input.header({});
  input.message("b");
  const Pack pack = input.pack();
  CHECK_FALSE(pack.is_rest);
  CHECK(pieces(pack) == Texts{"b"});
}

TEST_CASE("session queue: of a message that is refused nothing is in the pack, and the refusal is named") {
  Input input;
  input.message("a");
  input.fragment("too");
  input.skip(false, ErrorCode::message_too_large);
  input.skip(true);
  input.message("b");
  const Pack pack = input.pack();
  CHECK(pieces(pack) == Texts{"a", "b"});
  CHECK(pack.refusals == std::vector<Refusal>{{ErrorCode::message_too_large, {2}}});
  CHECK(pack.after.through == Seq{5});
}

TEST_CASE("session queue: numbers that carry nothing are a pack without pieces") {
  Input input;
  input.header({.kind = MessageKind::text, .channel = "other"});
  const Pack pack = input.pack();
  CHECK(pack.sizes.empty());
  CHECK(pack.after.through == Seq{1});
  CHECK(input.queue.channel() == "other");
}

TEST_CASE("session queue: another channel or kind begins another pack") {
  Input input;
  input.message("a");
  input.header({.kind = MessageKind::text, .channel = "other"});
  input.message("b");
  input.header({.kind = MessageKind::binary, .channel = "other"});
  input.message("c");
  input.message("d");
  const Pack first = input.pack();
  CHECK(pieces(first) == Texts{"a"});
  CHECK(first.channel.empty());
  const Pack second = input.pack();
  CHECK(pieces(second) == Texts{"b"});
  CHECK(second.channel == "other");
  CHECK(second.kind == MessageKind::text);
  const Pack third = input.pack();
  CHECK(pieces(third) == Texts{"c"});
  CHECK(third.kind == MessageKind::binary);
  const Pack last = input.pack();
  CHECK(pieces(last) == Texts{"d"});
  CHECK(last.channel.empty());
}

TEST_CASE("session queue: it goes on within a message of a channel of its own") {
  Input input;
  input.header({.kind = MessageKind::binary, .channel = "other"});
  input.fragment("be");
  const Pack first = input.pack();
  SessionQueue later(first.after, MessageKind::text, input.queue.channel());
  Bytes bytes;
  encode_frame(FrameType::data, to_wire(Seq{3}), as_bytes("gin"), bytes);
  server_event::Received run;
  run.first = {3};
  run.frames = bytes;
  later.push(run);
  const Pack second = later.pack({100, 10});
  CHECK(second.is_rest);
  CHECK(second.channel == "other");
  CHECK(second.kind == MessageKind::binary);
  CHECK(pieces(second) == Texts{"gin"});
}
