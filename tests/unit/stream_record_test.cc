#include "daemon/stream_record.h"

#include <doctest/doctest.h>

#include <string>

using namespace cproto;

namespace {

std::string value(const StreamHeaders& headers, const std::string& name) {
  for (const auto& [key, text] : headers)
    if (key == name) return text;
  return "(none)";
}

StreamMark some_mark() {
  StreamMark mark;
  mark.position = {{70'000}, 123'456, 69'000, {true, false, MessageKind::binary, {69'990}, 4'096}};
  mark.attempt = 7;
  mark.max_packet_size = 65'536;
  mark.kind = MessageKind::text;
  mark.channel = "nginx.access";
  mark.refusals = {{ErrorCode::message_too_large, {5}}, {ErrorCode::kind_not_accepted, {9}}};
  return mark;
}

}  // namespace

TEST_CASE("stream record: a session's name in the stream is not its id, and begins like the one in logs") {
  SessionId id{};
  id[0] = 1;
  const std::string name = stream_session_name(id);
  CHECK(name.size() == 32);
  CHECK(name.find(to_hex(id)) == std::string::npos);
  CHECK(stream_subject("web-1.example", "a.b", id) == "cproto.web-1:example.a:b." + name);
}

TEST_CASE("stream record: what a mark says is read again") {
  const StreamMark mark = some_mark();
  Pack pack;
  pack.sizes = {3, 0, 12};
  pack.after = mark.position;
  const auto again = decode_stream_mark(encode_stream_headers("ab", pack, mark, 41));
  REQUIRE(again);
  CHECK(again->position.through == mark.position.through);
  CHECK(again->position.bytes == mark.position.bytes);
  CHECK(again->position.messages == mark.position.messages);
  CHECK(again->position.message.is_begun);
  CHECK(again->position.message.first == Seq{69'990});
  CHECK(again->position.message.bytes == 4'096);
  CHECK(again->position.message.kind == MessageKind::binary);
  CHECK_FALSE(again->position.message.is_refused);
  CHECK(again->attempt == 7);
  CHECK(again->max_packet_size == 65'536);
  CHECK(again->kind == MessageKind::text);
  CHECK(again->channel == "nginx.access");
  CHECK(again->refusals == mark.refusals);
}

TEST_CASE("stream record: headers are those of the document") {
  Pack pack;
  pack.sizes = {3, 0, 12};
  pack.kind = MessageKind::binary;
  pack.channel = "other";
  pack.is_rest = pack.has_more = true;
  StreamHeaders headers = encode_stream_headers("ab", pack, some_mark(), 41);
  CHECK(value(headers, "Cproto-Number") == "70000");
  CHECK(value(headers, "Cproto-Sizes") == "3 0 12");
  CHECK(value(headers, "Cproto-Kind") == "binary");
  CHECK(value(headers, "Cproto-Channel") == "other");
  CHECK(value(headers, "Cproto-Rest") == "1");
  CHECK(value(headers, "Cproto-More") == "1");
  CHECK(value(headers, "Nats-Msg-Id") == "ab-70000");
  CHECK(value(headers, "Cproto-Mark") == "1 70000 123456 69000 7 65536 1 69990 4096 2 0 nginx.access 18 5 19 9");
  headers = encode_stream_headers("ab", Pack{}, StreamMark{}, 41);
  CHECK(value(headers, "Cproto-Sizes") == "none");
  CHECK(value(headers, "Nats-Msg-Id") == "ab-0-41");
  for (const char* name : {"Cproto-Kind", "Cproto-Channel", "Cproto-Rest", "Cproto-More"})
    CHECK(value(headers, name) == "(none)");
}

TEST_CASE("stream record: what is no mark of this version is none") {
  for (const char* text : {"", "2 1 1 1 1 1 1 0 0 0 0 -", "1", "1 x 1 1 1 1 1 0 0 0 0 -", "1 1 1 1 1 1 1 0 0 0 0 - 18",
                           "1 1 1 1 -1 1 1 0 0 0 0 -"}) {
    INFO(text);
    CHECK_FALSE(decode_stream_mark({{"Cproto-Mark", text}}));
  }
  CHECK_FALSE(decode_stream_mark({{"Cproto-Number", "1"}}));
}
