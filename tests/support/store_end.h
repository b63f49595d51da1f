// A real store on a disk in memory, and sessions that hand it frames as a connection would. Time passes only when a
// test says so.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/journal_entry.h"
#include "daemon/journal_store.h"
#include "daemon/log.h"
#include "proto/receiver.h"
#include "tests/support/memory_disk.h"

namespace cproto::test {

// The daemon's lines, for tests to look at.
class LinesLog final : public Log {
 public:
  void write(Severity severity, LogEvent event, std::string_view line, const LogFields& fields) override {
    lines.emplace_back(line);
    severities.push_back(severity);
    events.push_back(event);
    entries.push_back(journal_entry(severity, event, line, fields));
  }
  bool is_on(Severity) const override { return true; }
  bool contains(std::string_view part) const;
  std::size_t count(std::string_view part) const;

  std::vector<std::string> lines;
  std::vector<Severity> severities;
  std::vector<LogEvent> events;
  std::vector<std::string> entries;  // with the fields
};

class StoreEnd {
 public:
  explicit StoreEnd(std::uint64_t seed = 1);
  ~StoreEnd();

  // Opens the store, or says why that is impossible.
  std::string open();
  // Without the last checkpoint and seal, as if the loop had stopped; what is under way is completed.
  void close();
  void kill();
  void cut_power(Loss loss = Loss::drawn);

  // Time passes: jobs end, deadlines come.
  void run(Duration duration);
  // Until nothing is under way and everything is durable, delivered and checkpointed.
  void rest();
  // Until what was appended is durable.
  void sync();

  std::string log_text(const std::string& client = "web-1", const std::string& name = "messages.log") const;
  Bytes log_bytes(const std::string& client, const std::string& name) const;
  std::vector<std::string> segments() const;
  static std::string inbox(const std::string& client, const std::string& name) {
    return "/store/inbox/" + client + "/" + name;
  }

  MemoryDisk disk;
  LinesLog log;
  StoreOptions options;
  World world;
  std::unique_ptr<JournalStore> store;

 private:
  std::uint64_t ids_ = 0;
};

// One client's session at the store, with the connection that has it.
class SessionEnd final : public SessionHolder {
 public:
  explicit SessionEnd(StoreEnd& host, std::string client_id = "web-1", std::string channel = "messages",
                      MessageKind kind = MessageKind::text);
  ~SessionEnd() override;

  // Asks for the session: a new one, or, once there was one, the same. Empty if it was granted; else the error's name.
  std::string connect();
  void disconnect();
  // The connection went with its server: nobody is left to tell.
  void lose_server();

  // Hands frames to the store: a message in one frame, a part of one, the end of one.
  void send(std::string_view message);
  void send_fragment(std::string_view part);
  void send_header(MessageKind kind, const std::string& channel = {});
  void abandon();
  // The parts of a file, and a whole one in fragments of `packet_size`.
  void begin_file(const FileDescription& file);
  void send_digest(const Digest& digest);
  void send_file(const FileDescription& file, ByteView content, std::size_t packet_size = 64 * 1024);
  // As it came from the wire; duplicates are dropped as on the wire.
  void receive(ByteView frames);
  void forget();

  void on_admitted(Store::Admitted admitted) override;
  void on_committed() override;
  void on_delivered() override { ++times_delivered; }
  void on_message_refused(const Refusal& refusal) override { refused_late.push_back(refusal); }
  void on_superseded() override { entry = nullptr; }
  void on_trouble(const Error& trouble) override { troubles.push_back(trouble.code); }
  void on_kicked() override { was_kicked = true; }
  ConnectionView view() override { return {.peer = "192.0.2.9:51234"}; }

  StoreEnd& host;
  Syn syn;
  SynAck terms;
  SessionEntry* entry = nullptr;
  Seq acknowledged;  // as the client was told
  std::vector<Refusal> refused;
  bool was_kicked = false;
  unsigned times_delivered = 0;
  std::vector<Refusal> refused_late;  // by the store, not by what received it
  std::vector<ErrorCode> troubles;
  std::uint64_t message_size_max = 0;

 private:
  void send_frame(FrameType type, ByteView payload);
  std::unique_ptr<Receiver> receiver_;
  Seq sent_;
};

}  // namespace cproto::test
