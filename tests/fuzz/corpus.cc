// cproto-fuzz-corpus DIRECTORY: writes what the fuzz targets begin with, a folder each.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "config/print.h"
#include "daemon/batch.h"
#include "daemon/records.h"
#include "proto/assert.h"
#include "tests/fuzz/script.h"
#include "tests/support/frames.h"

using namespace cproto;
using namespace cproto::test;
using namespace cproto::fuzz;

namespace {

std::filesystem::path root;

void seed(const char* target, const std::string& name, ByteView bytes) {
  std::filesystem::create_directories(root / target);
  std::ofstream out(root / target / name, std::ios::binary);
  out << as_text(bytes);
  CPROTO_ASSERT(out.good());
}
void seed_payload(const char* target, const std::string& name, const Bytes& frame) {
  seed(target, name, ByteView(frame).subspan(kHeaderSize));
}
void seed_script(const char* target, const std::string& name, const Bytes& script) {
  seed(target, name, script);
  Bytes on_datagrams = script;
  on_datagrams[0] |= 1;
  seed(target, name + "_datagram", on_datagrams);
}

Ack an_ack(std::uint64_t durable, std::uint64_t received, bool is_final = false) {
  return {.durable_through = {durable},
          .received_through = {received},
          .limit_number = {durable + 16},
          .limit_bytes = 1u << 20,
          .is_final = is_final,
          .ranges = {}};
}

SynAck full_terms() {
  SynAck terms = some_terms();
  terms.outcome = SynAck::Outcome::resumed;
  terms.durable_through = {7};
  terms.client_id = "guest-7";
  terms.message_size_max = 1000;
  terms.unfinished = SynAck::Unfinished{{5}, 100, MessageKind::binary};
  terms.refusals = {{ErrorCode::message_too_large, {3}}};
  terms.software = "example/1";
  return terms;
}

void write_handshake() {
  Syn offer = a_syn();
  seed_payload("handshake", "syn", syn(offer));
  offer.kind = MessageKind::binary;
  offer.resume = Syn::Resume{session_id(), store_id(), {9}, 5000, 6};
  offer.refusals_heard = {4};
  offer.software = "example/1";
  seed_payload("handshake", "syn_resume", syn(offer));
  seed_payload("handshake", "syn_ack", syn_ack(some_terms()));
  seed_payload("handshake", "syn_ack_full", syn_ack(full_terms()));
  seed_payload("handshake", "confirmation", confirmation());
}

void write_control() {
  Ack full = an_ack(5, 9);
  full.ranges = {{{11}, {12}}, {{14}, {14}}};
  full.refusals = {{ErrorCode::message_too_large, {2}}, {ErrorCode::kind_not_accepted, {4}}};
  seed_payload("control", "ack", ack(an_ack(5, 9)));
  seed_payload("control", "ack_full", ack(full));
  seed_payload("control", "error", error(ErrorCode::bad_checksum, 3));
  seed_payload("control", "keep_alive", keep_alive(KeepAlive::ask));
  seed_payload("control", "disconnect", disconnect(Disconnect::End::finish, 3));
  seed_payload("control", "header", header(1, MessageKind::binary, "images"));
}

void write_server() {
  Bytes messages;
  begin_script(2, messages);
  put_frames(join({header(1, MessageKind::binary, "images"), fragment(2, "Hello "), data(3, "World")}), messages);
  put_action(0, 0, messages);
  put_frames(join({data(4, "x"), keep_alive(KeepAlive::ask)}), messages);
  put_time(5, messages);
  put_frames(join({fragment(5, std::string(50, 'x')), abandonment(6), data(3, "World")}), messages);
  put_action(0, 0, messages);
  put_frames(disconnect(Disconnect::End::finish, 6), messages);
  put_action(1, 0, messages);
  put_frames(confirmation(), messages);
  seed_script("server", "messages", messages);
  seed_script("frame", "messages", messages);

  Bytes gaps;
  begin_script(2, gaps);
  put_frames(join({data(2, "b"), data(4, "d"), data(1, "a")}), gaps);
  put_action(2, 0, gaps);
  put_frames(join({data(3, "c"), disconnect(Disconnect::End::pause, 4), error(ErrorCode::disk_full)}), gaps);
  seed_script("server", "gaps", gaps);
}

void write_client() {
  Bytes messages;
  begin_script(4, messages);
  for (std::uint8_t i = 0; i < 4; ++i) put_action(0, 1, messages);
  put_frames(join({ack(an_ack(1, 2)), error(ErrorCode::message_too_large, 2), keep_alive(KeepAlive::ask)}), messages);
  put_frames(error(ErrorCode::bad_checksum, 3), messages);
  put_time(20, messages);
  put_frames(join({ack(an_ack(4, 4)), keep_alive(KeepAlive::answer)}), messages);
  put_action(4, 0, messages);
  put_frames(ack(an_ack(4, 4, true)), messages);
  seed_script("client", "messages", messages);
  messages[0] = 2;
  seed_script("client", "resumed", messages);

  Bytes broken;
  begin_script(4, broken);
  put_action(2, 0, broken);
  put_action(1, 250, broken);
  put_action(3, 0, broken);
  Ack told = an_ack(1, 2);
  told.ranges = {{{4}, {4}}};
  told.refusals = {{ErrorCode::message_too_large, {1}}};
  put_frames(ack(told), broken);
  put_action(6, 0, broken);
  put_frames(disconnect(Disconnect::End::pause, 0), broken);
  seed_script("client", "broken", broken);
}

void put_record(RecordType type, const Bytes& body, Bytes& out) {
  ByteWriter writer(out);
  writer.u8(static_cast<std::uint8_t>(type));
  writer.u8(1);
  writer.u8(1);
  writer.u16(static_cast<std::uint16_t>(body.size()));
  writer.bytes(body);
}

void write_store() {
  const auto one = [](const char* name, RecordType type, const Bytes& body) {
    Bytes script;
    put_record(type, body, script);
    seed("store", name, script);
  };
  one("frames", RecordType::frames, data(1, "Hello World"));
  SessionRecord session{.id = session_id(), .client_id = "web-1", .channel = "messages", .identity = {}};
  session.refusals = {{ErrorCode::message_too_large, {3}}};
  Bytes body;
  encode_session(session, body);
  one("session", RecordType::session, body);
  body.clear();
  encode_skipped({{}, {ErrorCode::message_too_large, {1}}}, body);
  one("skipped", RecordType::skipped, body);
  body.clear();
  PiecesRecord pieces;
  pieces.channel = "messages";
  pieces.bytes = as_bytes("begun");
  encode_pieces(pieces, body);
  one("pieces", RecordType::pieces, body);
  LogRecord log;
  log.client_id = "web-1";
  log.name = "messages.log";
  body.clear();
  encode_log(log, body);
  one("log", RecordType::log_opened, body);
  CheckpointRecord checkpoint;
  checkpoint.logs = {log};
  checkpoint.parts = {{1, pieces}};
  checkpoint.files = {{1, {1}, "web-1", "backup.tar"}};
  body.clear();
  encode_checkpoint(checkpoint, body);
  one("checkpoint", RecordType::checkpoint, body);
  FileRecord file;
  file.header = {MessageKind::file, {}, {"backup.tar", 9, 0640, FileDescription::Time{1, 2}}, Digest{}};
  body.clear();
  encode_file(file, body);
  one("file", RecordType::file, body);
  BatchHeader batch;
  batch.size = batch_size(0);
  body.assign(kBatchHeaderSize, 0);
  encode_batch_header(batch, body.data());
  seed("store", "header", body);
}

void write_config() {
  seed("config", "defaults", as_bytes(print(Config{})));
  seed("config", "some", as_bytes("[listen]\nhost = [\"127.0.0.1\"]\nport = 7780\n[session]\nkeep_alive = \"20s\"\n"));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: cproto-fuzz-corpus DIRECTORY\n");
    return 2;
  }
  root = argv[1];
  write_handshake();
  write_control();
  write_server();
  write_client();
  write_store();
  write_config();
}
