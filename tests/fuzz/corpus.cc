// cproto-fuzz-corpus DIRECTORY: writes what the fuzz targets begin with, a folder each.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "client/file_bookmark.h"
#include "client/log_place.h"
#include "client/transfer_state.h"
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
  seed_payload("handshake", "confirmation_of_close", confirmation_of_close(6));
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
  put_frames(confirmation_of_close(6), messages);
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

// Of both targets that open a whole store: how a journal is written is the same script.
void seed_journal(const std::string& name, const Bytes& script) {
  seed("recovery", name, script);
  seed("checkpoint", name, script);
}

void write_journals() {
  constexpr std::uint8_t kSession = 0, kFrame = 1, kWrite = 2, kForget = 3, kSkipped = 4, kPieces = 5, kFile = 6,
                         kLog = 7, kCheckpoint = 8, kInboxFile = 9, kSegment = 10, kUnsynced = 11, kDamage = 13;
  const Bytes session{kSession, 1, 0, 0, 0, 1, 0, 0, 0};
  const auto message = [](std::uint8_t type, std::string_view text) {
    Bytes script{kFrame, 1, type, 0, static_cast<std::uint8_t>(text.size())};
    append(script, as_bytes(text));
    return script;
  };
  const Bytes one = join({session, message(0, "a"), {kWrite}});
  seed_journal("messages", join({one, message(0, "b"), message(1, "c"), message(0, "d"), {kWrite, kWrite}}));
  seed_journal("torn", join({one, message(0, "b"), {kUnsynced, kDamage, 0, 0x20, 0x28, 2}}));
  seed_journal("segments", join({one, {kSegment, 1}, message(0, "b"), {kWrite}}));
  seed_journal("damaged", join({one, message(0, "b"), {kWrite}, message(0, "c"), {kWrite, kDamage, 0, 0x10, 0x48, 0}}));
  seed_journal("finished", join({one, {kForget, 1, kWrite}}));
  seed_journal("refused", join({one, {kSkipped, 1, 9, 1, kWrite}, message(0, "b")}));
  seed_journal("unfinished", join({one, {kPieces, 1, 2, 0, 0, 0, 7, 0, 0, 2, 'a', 'b', kWrite}, message(0, "c")}));
  seed_journal("file", join({session, {kFile, 1, 0, 0, 9, 0, 9, 0, kWrite, kFile, 1, 0, 1, 9, 0, 9, 0, kWrite}}));
  seed_journal("log", join({{kInboxFile, 0, 0, 2, 'a', '\n'}, one, {kLog, 1, 0, 0, 0, 0, kWrite}, message(0, "b")}));
  seed_journal("checkpoint", join({{kInboxFile, 0, 0, 2, 'a', '\n'},
                                   one,
                                   {kCheckpoint, 1, 2, 1, 1, 0, 0, 2, 2, 0, 0, kWrite},
                                   message(0, "b")}));
}

void write_names() {
  const auto one = [](const char* name, const std::string& client, const std::string& channel,
                      const std::string& file) {
    Bytes script{1};
    ByteWriter writer(script);
    writer.string16(as_bytes(client));
    writer.string16(as_bytes(channel));
    writer.bytes(as_bytes(file));
    seed("names", name, script);
  };
  one("plain", "web-1", "messages", "backup.tar");
  one("up", "..", "../up", "../../etc/passwd");
  one("long", std::string(64, 'c'), std::string(64, 'm'), std::string(255, 'f'));
  one("bytes", "web-1", "messages", "caf\xe9 \xff~1");
}

void write_tls() {
  constexpr std::uint8_t kToServer = 0, kToClient = 1, kClientWrites = 2, kServerWrites = 3, kChange = 4, kPutIn = 5,
                         kClientCloses = 6;
  const Bytes open{0, kToServer, 0, kToClient, 0, kToServer, 0};
  seed("tls", "a_stream",
       join({open, {kClientWrites, 200, kToServer, 0, kServerWrites, 9, kToClient, 0, kClientCloses}}));
  seed("tls", "in_pieces", join({{0, kToServer, 100, kToServer, 0, kToClient, 7, kToClient, 0}, {kToServer, 30}}));
  seed("tls", "changed", join({open, {kClientWrites, 20, kClientWrites, 20, kToServer, 1, kChange, 15, 4}}));
  seed("tls", "put_in", join({open, {kClientWrites, 20, kToServer, 1, kPutIn, 6, 0x17, 3, 3, 0, 1, 9}}));
  seed("tls", "plain", Bytes{0, kPutIn, 13, 'G', 'E', 'T', ' ', '/', ' ', 'H', 'T', 'T', 'P', '\r', '\n', '\r', '\n'});
  seed("tls", "another_key", Bytes{1, kToServer, 0, kToClient, 0});
}

void write_keys() {
  const std::string digits = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
  seed("keys", "two", as_bytes("# keys\nweb-1 " + digits + "\n\nweb-2  " + std::string(64, 'a') + "\r\n"));
  seed("keys", "twice", as_bytes("web-1 " + digits + "\nweb-2 " + digits + "\n"));
  seed("keys", "short", as_bytes("web-1 " + digits.substr(1)));
}

void write_state() {
  client::SavedTransfer transfer;
  transfer.session = Syn::Resume{session_id(), store_id(), {9}, 5000, 6};
  transfer.client_id = "web-1";
  transfer.bookmarks = {{6, 5000, client::encode(client::FileBookmark{1, {1, 2, 3, 4, 5}, 2, {}})}};
  transfer.problems = {{client::Status::no_input, "a.txt is not there"}};
  seed("state", "transfer", client::encode(transfer));
  seed("state", "file", client::encode(client::FileBookmark{}));
  client::LogPlace place;
  place.inode = 7;
  place.previous = client::FilePlace{};
  Bytes bytes;
  ByteWriter writer(bytes);
  client::put_place(writer, place);
  seed("state", "log", bytes);
  Bytes slots{1 + 2 + 8, 0, 120};
  append(slots, client::encode(transfer));
  seed("state", "slots", slots);
}

void write_lines() {
  seed("lines", "some",
       as_bytes(std::string_view("\x03"
                                 "a line\n\nand another, longer than a packet of sixty-four bytes, "
                                 "which takes two of them\r\nand no line feed at the end")));
  seed("lines", "entry",
       as_bytes(std::string_view("\x01\0\x05"
                                 "hello\0\x03\x1b[m\x01\x02\xc3\xa9",
                                 18)));
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
  write_journals();
  write_names();
  write_state();
  write_tls();
  write_keys();
  write_lines();
  write_config();
}
