#include "daemon/records.h"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "proto/random.h"
#include "tests/support/frames.h"

using namespace cproto;
using namespace cproto::test;

namespace {

SessionRecord a_session() {
  SessionRecord record;
  record.id = session_id();
  record.client_id = "web-1";
  record.channel = "access";
  record.identity = "CN=web-1";
  record.kind = MessageKind::binary;
  record.attempt = 9;
  record.max_packet_size = 4'096;
  record.last_there = 30h;
  record.position = {.through = {70'000}, .bytes = 1u << 20, .messages = 60'000, .message = {}};
  record.position.message = {true, true, MessageKind::text, {69'999}, 512};
  record.refusals = {{ErrorCode::message_too_large, {5}}, {ErrorCode::kind_not_accepted, {6}}};
  return record;
}
PiecesRecord some_pieces() {
  return {{3}, {9}, MessageKind::binary, "access", 0xdeadbeef, 1u << 21, as_bytes("the rest")};
}
LogRecord a_log(std::uint64_t id) { return {id, "web-1", "access.log", 2, 77, 1u << 30}; }
CheckpointRecord a_checkpoint() {
  return {12,
          31h,
          5,
          {a_log(3), a_log(4)},
          {{8, some_pieces()}},
          {{8, {70}, "web-1", "backup.tar"}},
          {{9, "web-1", "messages.log", 4'000}}};
}

FileRecord a_file() {
  FileRecord file{{70}, FileRecord::State::whole, a_session().position, 9u << 20, {}, {}};
  file.chain.fill(7);
  file.header = {
      MessageKind::file, {}, {"backup.tar", 9u << 20, 0640, FileDescription::Time{-1, 999}}, Digest{1, 2, 3}};
  return file;
}

// Every record type: an encoding, and whether bytes are taken for one.
struct Kind {
  const char* name;
  Bytes bytes;
  std::function<bool(ByteView)> is_taken;
};
std::vector<Kind> kinds() {
  std::vector<Kind> all{{"session", {}, [](ByteView v) { return decode_session(v).has_value(); }},
                        {"skipped", {}, [](ByteView v) { return decode_skipped(v).has_value(); }},
                        {"pieces", {}, [](ByteView v) { return decode_pieces(v).has_value(); }},
                        {"log", {}, [](ByteView v) { return decode_log(v).has_value(); }},
                        {"checkpoint", {}, [](ByteView v) { return decode_checkpoint(v).has_value(); }},
                        {"file", {}, [](ByteView v) { return decode_file(v).has_value(); }}};
  encode_session(a_session(), all[0].bytes);
  encode_skipped({a_session().position, {ErrorCode::message_too_large, {5}}}, all[1].bytes);
  PiecesRecord head = some_pieces();
  head.bytes = {};
  encode_pieces(head, all[2].bytes);
  encode_log(a_log(3), all[3].bytes);
  encode_checkpoint(a_checkpoint(), all[4].bytes);
  FileRecord bare = a_file();
  bare.header = {MessageKind::file, {}, {"n", {}, {}, {}}, {}};
  encode_file(bare, all[5].bytes);
  return all;
}

}  // namespace

TEST_CASE("records: a session is read as it was written") {
  Bytes body;
  const SessionRecord written = a_session();
  encode_session(written, body);
  const auto read = decode_session(body);
  REQUIRE(read);
  CHECK(read->id == written.id);
  CHECK(read->client_id == written.client_id);
  CHECK(read->channel == written.channel);
  CHECK(read->identity == written.identity);
  CHECK(read->kind == written.kind);
  CHECK(read->attempt == written.attempt);
  CHECK(read->max_packet_size == written.max_packet_size);
  CHECK(read->last_there == 30h);
  CHECK(read->position.through == written.position.through);
  CHECK(read->position.bytes == written.position.bytes);
  CHECK(read->position.messages == written.position.messages);
  CHECK(read->position.message.is_begun);
  CHECK(read->position.message.is_refused);
  CHECK(read->position.message.kind == MessageKind::text);
  CHECK(read->position.message.first == Seq{69'999});
  CHECK(read->position.message.bytes == 512);
  CHECK(read->refusals == written.refusals);
}

TEST_CASE("records: a session with names outside the alphabet is none") {
  SessionRecord record = a_session();
  SUBCASE("client") { record.client_id = "../.."; }
  SUBCASE("channel") { record.channel = "a/b"; }
  SUBCASE("no client") { record.client_id.clear(); }
  Bytes body;
  encode_session(record, body);
  CHECK(!decode_session(body));
}

TEST_CASE("records: skipped numbers are read as they were written") {
  Bytes body;
  encode_skipped({a_session().position, {ErrorCode::message_too_large, {5}}}, body);
  const auto read = decode_skipped(body);
  REQUIRE(read);
  CHECK(read->after.through == Seq{70'000});
  CHECK(read->after.message.is_refused);
  CHECK(read->refusal == Refusal{ErrorCode::message_too_large, {5}});
}

TEST_CASE("records: a file is read as it was written") {
  Bytes body;
  const FileRecord written = a_file();
  encode_file(written, body);
  const auto read = decode_file(body);
  REQUIRE(read);
  CHECK(read->first == written.first);
  CHECK(read->state == FileRecord::State::whole);
  CHECK(read->after.bytes == written.after.bytes);
  CHECK(read->bytes == written.bytes);
  CHECK(read->chain == written.chain);
  CHECK(read->header.file == written.header.file);
  CHECK(read->header.digest == written.header.digest);
}

TEST_CASE("records: a file whose name is none is none") {
  for (const char* name : {"", "..", "../../etc/passwd", "a/b"}) {
    FileRecord file = a_file();
    file.header.file.name = name;
    Bytes body;
    encode_file(file, body);
    CHECK_FALSE(decode_file(body));
  }
}

TEST_CASE("records: pieces are read as they were written") {
  Bytes body;
  encode_pieces(some_pieces(), body);
  const auto read = decode_pieces(body);
  REQUIRE(read);
  CHECK(read->first == Seq{3});
  CHECK(read->through == Seq{9});
  CHECK(read->kind == MessageKind::binary);
  CHECK(read->channel == "access");
  CHECK(read->checksum == 0xdeadbeef);
  CHECK(read->part_bytes == 1u << 21);
  CHECK(as_text(read->bytes) == "the rest");
}

TEST_CASE("records: a checkpoint and its logs are read as they were written") {
  Bytes body;
  encode_checkpoint(a_checkpoint(), body);
  const auto read = decode_checkpoint(body);
  REQUIRE(read);
  CHECK(read->delivered == 12);
  CHECK(read->running_time == 31h);
  REQUIRE(read->asides.size() == 1);
  CHECK(read->asides[0].id == 9);
  CHECK(read->asides[0].client_id == "web-1");
  CHECK(read->asides[0].name == "messages.log");
  CHECK(read->asides[0].bytes == 4'000);
  CHECK(read->next_log_id == 5);
  REQUIRE(read->logs.size() == 2);
  Bytes again;
  encode_log(read->logs[1], again);
  Bytes log;
  encode_log(a_log(4), log);
  CHECK(again == log);
  REQUIRE(read->parts.size() == 1);
  CHECK(read->parts[0].session == 8);
  CHECK(read->parts[0].pieces.part_bytes == 1u << 21);
  CHECK(read->parts[0].pieces.bytes.empty());
}

TEST_CASE("records: a log or pieces whose names lead out of the inbox are none") {
  Bytes body;
  const auto log_is_taken = [&](const char* client, const char* name) {
    LogRecord log = a_log(3);
    log.client_id = client;
    log.name = name;
    body.clear();
    encode_log(log, body);
    return decode_log(body).has_value();
  };
  CHECK(log_is_taken("web-1", "access.log"));
  CHECK(!log_is_taken("..", "access.log"));
  CHECK(!log_is_taken("web-1", "../../x.log"));
  CHECK(!log_is_taken("web-1", ""));
  PiecesRecord pieces = some_pieces();
  pieces.channel = "../x";
  body.clear();
  encode_pieces(pieces, body);
  CHECK(!decode_pieces(body));
}

TEST_CASE("records: what is cut short is refused") {
  for (const Kind& kind : kinds()) {
    CAPTURE(kind.name);
    CHECK(kind.is_taken(kind.bytes));
    for (std::size_t size = 0; size < kind.bytes.size(); ++size)
      CHECK(!kind.is_taken(Bytes(kind.bytes.begin(), kind.bytes.begin() + static_cast<std::ptrdiff_t>(size))));
  }
}

TEST_CASE("records: whatever is turned over in one, reading it ends") {
  Random random(9);
  for (const Kind& kind : kinds()) {
    for (std::size_t bit = 0; bit < kind.bytes.size() * 8; ++bit) {
      Bytes bytes = kind.bytes;
      bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
      kind.is_taken(bytes);
    }
    for (int round = 0; round < 200; ++round) {
      Bytes bytes(random.below(200));
      for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.below(256));
      kind.is_taken(bytes);
    }
  }
}
