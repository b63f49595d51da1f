// What is durable comes to the inbox, exactly once and in order, whatever happens to the daemon, to the disk and to the
// logs themselves.
#include "daemon/delivery.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "proto/checksum.h"
#include "proto/random.h"
#include "tests/support/store_end.h"

using namespace cproto;
using namespace cproto::test;

namespace {

const std::string kLog = StoreEnd::inbox("web-1", "messages.log");

std::string binary_of(const std::string& message) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.u32(static_cast<std::uint32_t>(message.size()));
  writer.u32(crc32(0, as_bytes(message)));
  writer.bytes(as_bytes(message));
  return std::string(as_text(bytes));
}

// A store that is open, with one session in it.
struct OpenStore : StoreEnd {
  explicit OpenStore(std::uint64_t seed = 1) : StoreEnd(seed), session(*this) {
    options.segment_size = 16 * kBlockSize;  // and so more than 8 KiB of a message go to a part
    REQUIRE(open().empty());
    REQUIRE(session.connect().empty());
  }
  void send(const std::string& message) {
    session.send(message);
    sync();
    run(20ms);
  }
  // The daemon dies and comes back.
  void restart(bool cuts_power = false) {
    session.lose_server();
    cuts_power ? cut_power() : kill();
    REQUIRE(open().empty());
    run(20ms);
    REQUIRE(session.connect().empty());
  }
  std::size_t parts() const { return disk.list_directory("/store/partial").size(); }
  std::string text_at(const std::string& path) const { return std::string(as_text(disk.read_file(path))); }
  SessionEnd session;
};

// A client that sends frames by a script, one number each, and goes on where it is told to after a crash.
struct Writer {
  Writer(StoreEnd& host, const std::string& channel, MessageKind kind) : end(host, "web-1", channel, kind) {}
  void connect() {
    const Seq promised = end.acknowledged;
    const std::string error = end.connect();
    if (!error.empty()) {
      REQUIRE(promised == Seq{0});  // of which nothing was acknowledged
      end.syn.resume.reset();
      REQUIRE(end.connect().empty());
    }
    CHECK(end.acknowledged >= promised);
  }
  bool send_next() {
    const std::uint64_t next = end.entry->appended.through.value;
    if (next >= frames.size()) return false;
    frames[next](end);
    return true;
  }
  void message(const std::string& text) {
    frames.push_back([text](SessionEnd& session) { session.send(text); });
  }
  void part_of_message(std::size_t size, char letter) {
    frames.push_back([=](SessionEnd& session) { session.send_fragment(std::string(size, letter)); });
  }
  SessionEnd end;
  std::vector<std::function<void(SessionEnd&)>> frames;
};

// Three clients at work, a reader beside them, and an end at any operation.
struct Crowd : StoreEnd {
  explicit Crowd(std::uint64_t seed)
      : StoreEnd(seed),
        text(*this, "messages", MessageKind::text),
        binary(*this, "messages", MessageKind::binary),
        large(*this, "large", MessageKind::text) {
    options.segment_size = 16 * kBlockSize;
    for (int i = 1; i <= 10; ++i) text.message("line " + std::to_string(i));
    for (int i = 1; i <= 3; ++i) binary.message("b" + std::to_string(i));
    large.message("before");
    for (const char letter : {'x', 'y', 'z'}) large.part_of_message(6'000, letter);
    large.message("end");
    large.part_of_message(5'000, 'u');
    large.frames.push_back([](SessionEnd& session) { session.abandon(); });
    large.message("behind");
  }
  std::vector<Writer*> writers() { return {&text, &binary, &large}; }

  void work() {
    const std::string trouble = open();
    REQUIRE(trouble.empty());
    for (Writer* writer : writers()) writer->connect();
    bool is_more = true;
    for (int step = 0; is_more; ++step) {
      is_more = false;
      for (Writer* writer : writers()) is_more = writer->send_next() || is_more;
      if (step == rename_at) disk.rename_file(kLog, kLog + ".1");
      if (step % 2 == 0) sync();
      if (step % 3 == 2) run(400ms);
      read_along();
    }
    rest();
  }
  void die(bool cuts_power) {
    read_along();
    lost_power = lost_power || cuts_power;
    for (Writer* writer : writers()) writer->end.lose_server();
    cuts_power ? cut_power() : kill();
    disk.never_crash();
  }
  void read_along() {
    for (const char* name : {"messages.log", "messages.bin", "large.log", "messages.log.1"}) {
      if (rename_at >= 0 && name == std::string_view("messages.log")) continue;
      const std::string now = log_text("web-1", name);
      std::string& before = seen[name];
      if (!lost_power) CHECK(now.substr(0, before.size()) == before);
      before = now;
    }
  }
  void check_inbox() {
    read_along();
    std::string lines;
    for (int i = 1; i <= 10; ++i) lines += "line " + std::to_string(i) + "\n";
    CHECK(log_text("web-1", "messages.log.1") + log_text() == lines);
    CHECK(log_text("web-1", "messages.bin") == binary_of("b1") + binary_of("b2") + binary_of("b3"));
    CHECK((log_text("web-1", "large.log") ==
           "before\n" + std::string(6'000, 'x') + std::string(6'000, 'y') + std::string(6'000, 'z') + "end\nbehind\n"));
    CHECK(std::count(log.severities.begin(), log.severities.end(), Severity::error) == 0);
    CHECK(disk.list_directory("/store/partial").empty());
  }
  Writer text, binary, large;
  int rename_at = -1;  // the step behind which the text's log is renamed
  std::map<std::string, std::string> seen;
  bool lost_power = false;  // and with it what a reader may have seen
};

}  // namespace

// --- where messages go ---

TEST_CASE("delivery: a text is a line") {
  OpenStore end;
  end.send("hello");
  end.send("");
  end.send("world");
  CHECK(end.log_text() == "hello\n\nworld\n");
}

TEST_CASE("delivery: a binary message has its size and its checksum before it") {
  OpenStore end;
  SessionEnd binary(end, "web-1", "messages", MessageKind::binary);
  REQUIRE(binary.connect().empty());
  binary.send("hello\n");
  binary.send("");
  end.sync();
  end.run(20ms);
  CHECK(end.log_text("web-1", "messages.bin") == binary_of("hello\n") + binary_of(""));
}

TEST_CASE("delivery: each client, channel and kind has a log of its own") {
  OpenStore end;
  SessionEnd other_client(end, "db-1");
  SessionEnd other_channel(end, "web-1", "access");
  SessionEnd other_kind(end, "web-1", "messages", MessageKind::binary);
  for (SessionEnd* one : {&other_client, &other_channel, &other_kind}) {
    REQUIRE(one->connect().empty());
    one->send("x");
  }
  end.send("mine");
  CHECK(end.log_text() == "mine\n");
  CHECK(end.log_text("db-1") == "x\n");
  CHECK(end.log_text("web-1", "access.log") == "x\n");
  CHECK(end.log_text("web-1", "messages.bin") == binary_of("x"));
}

TEST_CASE("delivery: sessions of one channel share its log, whole messages each") {
  OpenStore end;
  SessionEnd other(end);
  REQUIRE(other.connect().empty());
  other.send_fragment("other ");
  end.send("mine");
  other.send("whole");
  end.sync();
  end.run(20ms);
  CHECK(end.log_text() == "mine\nother whole\n");
}

TEST_CASE("delivery: a header sends one message elsewhere") {
  OpenStore end;
  end.session.send_header(MessageKind::binary, "elsewhere");
  end.session.send_fragment("a");
  end.session.send("b");
  end.send("here");
  CHECK(end.log_text() == "here\n");
  CHECK(end.log_text("web-1", "elsewhere.bin") == binary_of("ab"));
}

TEST_CASE("delivery: nothing is in the inbox before its batch is durable") {
  OpenStore end;
  end.disk.latency = [](const Job&) { return Duration(100ms); };
  end.session.send("hello");
  end.run(90ms);
  CHECK(end.session.acknowledged == Seq{0});
  CHECK(end.log_text().empty());
}

TEST_CASE("delivery: an abandoned message and a refused one leave no byte") {
  OpenStore end;
  SessionEnd small(end, "db-1");
  small.message_size_max = 10;
  REQUIRE(small.connect().empty());
  small.send("this is too large");
  small.send_fragment("as this ");
  small.send("will be");
  small.send("but not");
  end.session.send_fragment("given");
  end.session.abandon();
  end.send("kept");
  CHECK(end.log_text() == "kept\n");
  CHECK(end.log_text("db-1") == "but not\n");
  CHECK(small.refused.size() == 2);
}

// --- parts ---

TEST_CASE("delivery: a large message waits in a part, which goes when a checkpoint has passed it") {
  OpenStore end;
  const std::string piece(6'000, 'x');
  for (int i = 0; i < 3; ++i) {
    end.session.send_fragment(piece);
    end.sync();
    end.run(20ms);
  }
  CHECK(end.parts() == 1);
  CHECK(end.log_text().empty());
  bool restarts = false;
  bool cuts_power = false;
  SUBCASE("in one life") {}
  SUBCASE("over a kill") { restarts = true; }
  SUBCASE("over a power cut") { restarts = cuts_power = true; }
  SUBCASE("over a checkpoint and a power cut") {
    end.run(3s);
    restarts = cuts_power = true;
  }
  if (restarts) end.restart(cuts_power);
  end.send("!");
  CHECK((end.log_text() == piece + piece + piece + "!\n"));
  end.rest();
  CHECK(end.parts() == 0);
}

TEST_CASE("delivery: a large binary message has the checksum of all of it") {
  OpenStore end;
  SessionEnd binary(end, "web-1", "messages", MessageKind::binary);
  REQUIRE(binary.connect().empty());
  const std::string piece(9'000, 'x');
  for (int i = 0; i < 2; ++i) {
    binary.send_fragment(piece);
    end.sync();
    end.run(20ms);
  }
  binary.send("!");
  end.sync();
  end.run(20ms);
  CHECK((end.log_text("web-1", "messages.bin") == binary_of(piece + piece + "!")));
}

TEST_CASE("delivery: a message that is never finished outlives the recycling of every segment") {
  OpenStore end;
  SessionEnd slow(end, "slow-1");
  REQUIRE(slow.connect().empty());
  slow.send_fragment("begun ");
  for (int i = 0; i < 120; ++i) {
    end.session.send(std::string(3'000, 'x'));
    end.sync();
    if (i % 10 == 0) end.run(1100ms);
  }
  CHECK(end.segments().size() <= 8);
  slow.lose_server();
  end.restart(true);
  REQUIRE(slow.connect().empty());
  slow.send("and ended");
  end.sync();
  end.run(20ms);
  CHECK(end.log_text("slow-1") == "begun and ended\n");
}

// --- a log belongs to its owner ---

TEST_CASE("delivery: one that cannot begin again yet holds the segments that it may need") {
  OpenStore end;
  SessionEnd other(end, "db-1");
  REQUIRE(other.connect().empty());
  std::string lines;
  const auto send_lines = [&](int count) {
    for (int i = 0; i < count; ++i) {
      lines += std::string(6'000, 'x') + "\n";
      other.send(std::string(6'000, 'x'));
      end.sync();
      end.run(20ms);
    }
  };
  bool is_bad = true;
  bool is_denied = false;
  end.disk.fault = [&](const FileOp& op, const std::string& path) {
    if (!path.starts_with("/store/inbox")) return 0;
    return is_bad && op.kind == FileOp::Kind::sync_data           ? EIO
           : is_denied && op.kind == FileOp::Kind::make_directory ? EACCES
                                                                  : 0;
  };
  send_lines(40);
  end.session.send_fragment("half of it, ");
  send_lines(15);  // many segments are in use
  is_bad = false;
  end.run(20s);
  is_bad = true;
  is_denied = true;
  send_lines(1);
  end.run(8s);
  CHECK(end.log.contains("/store/inbox: Permission denied"));
  send_lines(50);
  is_bad = false;
  is_denied = false;
  end.run(20s);
  end.session.send("and the other");
  end.rest();
  CHECK(end.log_text() == "half of it, and the other\n");
  CHECK((end.log_text("db-1") == lines));
}

TEST_CASE("delivery: a log that was renamed is left as it is, and a new one begun") {
  OpenStore end;
  end.send("a");
  end.disk.rename_file(kLog, kLog + ".1");
  end.session.send("b");  // may go to either
  end.sync();
  end.run(20ms);
  end.run(3s);
  end.send("c");
  CHECK(end.text_at(kLog + ".1") + end.log_text() == "a\nb\nc\n");
  CHECK(end.text_at(kLog + ".1").substr(0, 2) == "a\n");
  CHECK(end.log_text().find("c\n") != std::string::npos);
}

TEST_CASE("delivery: a log that is renamed before it has its second name holds nothing up") {
  OpenStore end;
  int renames = 3;
  bool is_made_anew = false;
  SUBCASE("and no other is there") {}
  SUBCASE("and another is there") { is_made_anew = true; }
  end.disk.fault = [&](const FileOp& op, const std::string&) {
    if (op.kind != FileOp::Kind::make_link || op.path != kLog || renames == 0) return 0;
    end.disk.rename_file(kLog, kLog + "." + std::to_string(renames--));
    if (is_made_anew) end.disk.write_file(kLog, {});
    return 0;
  };
  end.session.send("a");
  end.sync();
  end.run(100ms);
  CHECK(renames == 0);
  CHECK(end.log_text() == "a\n");
  CHECK_FALSE(end.log.contains("opening fails"));
  end.rest();
  CHECK(end.disk.open_files() < 12);
  CHECK(end.disk.list_directory("/store/open").size() == 1);
}

TEST_CASE("delivery: a log whose second name cannot be made is not tried without end") {
  OpenStore end;
  int tries = 0;
  end.disk.fault = [&](const FileOp& op, const std::string&) {
    if (op.kind != FileOp::Kind::make_link || op.path != kLog) return 0;
    ++tries;
    return ENOENT;  // the folder of second names is gone
  };
  end.session.send("a");
  end.sync();
  end.run(1s);
  CHECK(tries < 10);
  CHECK(end.log.count("opening fails") == 1);
  end.disk.fault = nullptr;
  end.run(6s);
  CHECK(end.log_text() == "a\n");
}

TEST_CASE("delivery: a log that was removed is begun anew") {
  OpenStore end;
  end.send("a");
  end.disk.remove_file(kLog);
  end.send("b");
  end.run(3s);
  end.send("c");
  CHECK(end.log_text().find("c\n") != std::string::npos);
  CHECK(end.log_text().find("a\n") == std::string::npos);
  end.rest();
  CHECK(end.disk.open_files() < 12);
}

TEST_CASE("delivery: a log that became shorter is continued at its end, and that is said") {
  OpenStore end;
  end.send("a longer line");
  end.disk.truncate_file(kLog, 0);
  end.send("b");
  CHECK(end.log_text() == "b\n");
  CHECK(end.log.contains("became shorter"));
  end.send("c");
  CHECK(end.log_text() == "b\nc\n");
  CHECK(end.log.count("became shorter") == 1);
}

TEST_CASE("delivery: a log that is cut while it cannot be written is continued at its end, and that is said") {
  OpenStore end;
  end.send("a longer line");
  end.rest();
  int error = ENOSPC;
  end.disk.fault = [&](const FileOp& op, const std::string& path) {
    return (op.kind == FileOp::Kind::append || op.kind == FileOp::Kind::write) && path == kLog ? error : 0;
  };
  end.send("b");
  SUBCASE("at once") {}
  SUBCASE("and the daemon was killed") { end.restart(); }
  end.disk.truncate_file(kLog, 0);
  error = 0;
  end.run(11s);
  CHECK(end.log_text() == "b\n");
  CHECK(end.log.contains("became shorter"));
  end.send("c");
  CHECK(end.log_text() == "b\nc\n");
  CHECK(end.log.count("became shorter") == 1);
}

TEST_CASE("delivery: what waits for a log that is removed while it cannot be written goes to a new one") {
  OpenStore end;
  end.send("a");
  end.rest();
  FileOp::Kind kind{};
  SUBCASE("its bytes") { kind = FileOp::Kind::append; }
  SUBCASE("its bytes, which were begun") { kind = FileOp::Kind::status; }
  SUBCASE("its name") { kind = FileOp::Kind::expect_identity; }
  bool is_bad = true;
  end.disk.fault = [&](const FileOp& op, const std::string& path) {
    return is_bad && (op.kind == kind || op.kind == FileOp::Kind::write) && path == kLog ? ENOSPC : 0;
  };
  end.send("b");
  end.disk.remove_file(kLog);
  end.send("c");
  is_bad = false;
  end.run(11s);
  CHECK(end.log_text() == "b\nc\n");
  end.send("d");
  end.rest();
  CHECK(end.log_text() == "b\nc\nd\n");
  CHECK(end.log.contains("what waited goes to a new one"));
}

TEST_CASE("delivery: what somebody did to a log before it could not be written is not written over") {
  const std::string message(5'000, 'b');
  for (std::uint64_t seed = 1; seed < 20; ++seed) {
    OpenStore end(seed);
    end.send("a longer line");
    end.rest();
    std::string before;
    SUBCASE("it was emptied") { end.disk.truncate_file(kLog, 0); }
    SUBCASE("it was written to") {
      before = "a longer line\nforeign\n";
      end.disk.write_file(kLog, as_bytes(before));
    }
    bool is_full = true;
    end.disk.fault = [&](const FileOp& op, const std::string& path) {
      return is_full && op.kind == FileOp::Kind::append && path == kLog ? ENOSPC : 0;
    };
    end.send(message);
    is_full = false;
    end.run(11s);
    CHECK((end.log_text() == before + message + "\n"));
  }
}

TEST_CASE("delivery: what a log had that was removed before a crash does not come again") {
  OpenStore end;
  end.send("a");
  end.run(3s);
  end.send("a");
  end.send("b");  // behind the checkpoint
  end.disk.remove_file(kLog);
  // There is no checkpoint any more.
  end.disk.latency = [](const Job& job) {
    const auto syncs = [](const FileOp& op) { return op.kind == FileOp::Kind::sync_data; };
    const bool is_batch = job.front().kind == FileOp::Kind::write;
    return !is_batch && std::any_of(job.begin(), job.end(), syncs) ? Duration(1h) : Duration(1ms);
  };
  end.send("c");
  REQUIRE(end.log_text() == "c\n");
  end.disk.latency = [](const Job&) { return 1ms; };
  end.restart();
  end.send("d");
  CHECK(end.log_text() == "c\nd\n");
}

TEST_CASE("delivery: what somebody else wrote to a log stays") {
  OpenStore end;
  end.send("a");
  end.disk.write_file(kLog, as_bytes("a\nforeign\n"));
  end.send("b");
  CHECK(end.log_text() == "a\nforeign\nb\n");
  CHECK(end.log.contains("written to by somebody else"));
  SUBCASE("and nothing is there twice after a kill") {
    end.restart();
    end.send("c");
    CHECK(end.log_text() == "a\nforeign\nb\nc\n");
  }
}

TEST_CASE("delivery: what somebody wrote to a log while the daemon was down stays") {
  OpenStore end;
  end.send("a");
  end.rest();
  end.session.lose_server();
  end.kill();
  end.disk.write_file(kLog, as_bytes("a\nforeign\n"));
  REQUIRE(end.open().empty());
  REQUIRE(end.session.connect().empty());
  end.run(20ms);
  end.send("b");
  CHECK(end.log_text() == "a\nforeign\nb\n");
}

TEST_CASE("delivery: a log that was renamed while the daemon was down is completed there") {
  OpenStore end;
  end.send("a");
  end.run(3s);
  // Durable, and not delivered any more.
  end.disk.fault = [](const FileOp& op, const std::string& path) {
    return op.kind == FileOp::Kind::append && path == kLog ? EIO : 0;
  };
  end.send("b");
  end.disk.fault = nullptr;
  end.session.lose_server();
  end.kill();
  end.disk.rename_file(kLog, kLog + ".1");
  REQUIRE(end.open().empty());
  REQUIRE(end.session.connect().empty());
  end.run(3s);
  end.send("c");
  CHECK(end.text_at(kLog + ".1") == "a\nb\n");
  CHECK(end.log_text() == "c\n");
}

TEST_CASE("delivery: a log that was removed while the daemon was down is begun anew") {
  OpenStore end;
  end.send("a");
  end.rest();
  end.session.lose_server();
  end.kill();
  end.disk.remove_file(kLog);
  REQUIRE(end.open().empty());
  REQUIRE(end.session.connect().empty());
  end.send("b");
  end.run(3s);
  end.send("c");
  const std::string text = end.log_text();
  CHECK((text == "c\n" || text == "b\nc\n"));  // "b" may be in the file that has no name any more
}

TEST_CASE("delivery: a log is still the same when its disk has another number after a power cut") {
  OpenStore end;
  end.send("a");
  end.rest();
  end.send("b");  // in the log, behind the checkpoint
  REQUIRE(end.log_text() == "a\nb\n");
  end.session.lose_server();
  Loss loss{};
  SUBCASE("that left all of it") { loss = Loss::nothing; }
  SUBCASE("that took what was not synced") { loss = Loss::everything; }
  end.cut_power(loss);
  end.disk.device += 1;
  REQUIRE(end.open().empty());
  REQUIRE(end.session.connect().empty());
  end.send("c");
  CHECK(end.log_text() == "a\nb\nc\n");
  CHECK_FALSE(end.log.contains("was removed"));
}

TEST_CASE("delivery: a log that became shorter while the daemon was down is continued at its end") {
  OpenStore end;
  end.send("a longer line");
  end.rest();
  end.session.lose_server();
  end.kill();
  end.disk.truncate_file(kLog, 0);
  REQUIRE(end.open().empty());
  REQUIRE(end.session.connect().empty());
  end.send("b");
  CHECK(end.log_text() == "b\n");
  CHECK(end.log.contains("became shorter"));
}

TEST_CASE(
    "delivery: a message that begins while a checkpoint takes the one before it from its part is not in that part") {
  OpenStore end;
  const std::string piece(6'000, 'p');
  for (int i = 0; i < 3; ++i) {
    end.session.send_fragment(piece);
    end.sync();
  }
  // The first ends and the second begins while the checkpoint, which names the part of the first, is on its way.
  bool is_syncing = false;
  end.disk.latency = [&](const Job& job) {
    is_syncing = is_syncing || job.back().path == "/store/partial";
    return job.front().kind == FileOp::Kind::write ? 15ms : Duration(20ms);
  };
  while (!is_syncing) end.run(1ms);
  end.session.send("end");
  end.session.send_fragment("begin ");
  end.run(60ms);
  end.disk.latency = [](const Job&) { return 1ms; };
  SessionEnd other(end, "db-1");
  REQUIRE(other.connect().empty());
  for (int i = 0; i < 60; ++i) {  // through every segment there is, and with checkpoints
    other.send(std::string(8'000, 'x'));
    end.sync();
    if (i % 10 == 0) end.run(1100ms);
  }
  other.lose_server();
  end.restart(true);
  end.send("and end");
  end.run(1s);
  CHECK((end.log_text() == piece + piece + piece + "end\nbegin and end\n"));
}

TEST_CASE("delivery: a part that is gone costs its message, which is said, and nothing else") {
  OpenStore end;
  for (int i = 0; i < 3; ++i) {
    end.session.send_fragment(std::string(6'000, 'p'));
    end.sync();
  }
  end.run(2s);
  REQUIRE(end.parts() == 1);
  end.session.lose_server();
  end.kill();
  end.disk.remove_file("/store/partial/" + end.disk.list_directory("/store/partial").at(0));
  REQUIRE(end.open().empty());
  CHECK(end.log.contains(".part is gone: the half-sent message of session 1 that was in it is left out"));
  REQUIRE(end.session.connect().empty());
  end.send("its end");
  end.send("the next");
  CHECK(end.log_text() == "the next\n");
}

// --- trouble ---

TEST_CASE("delivery: a log that cannot be written waits alone, and gets what it missed") {
  OpenStore end;
  SessionEnd other(end, "db-1");
  REQUIRE(other.connect().empty());
  end.send("a");
  int error = 0;
  SUBCASE("EIO") { error = EIO; }
  SUBCASE("ENOSPC") { error = ENOSPC; }
  SUBCASE("EACCES") { error = EACCES; }
  end.disk.fault = [&](const FileOp& op, const std::string& path) {
    return (op.kind == FileOp::Kind::append || op.kind == FileOp::Kind::write) && path == kLog ? error : 0;
  };
  end.send("b");
  end.send("c");
  CHECK(end.session.acknowledged == Seq{3});
  other.send("x");
  end.sync();
  end.run(20ms);
  CHECK(end.log_text("db-1") == "x\n");
  CHECK(end.log.contains("what is for it waits"));
  error = 0;
  end.run(11s);
  CHECK(end.log_text() == "a\nb\nc\n");
  end.send("d");
  CHECK(end.log_text() == "a\nb\nc\nd\n");
}

TEST_CASE("delivery: a log that cannot be opened waits alone, and gets what it missed") {
  OpenStore end;
  SessionEnd other(end, "db-1");
  REQUIRE(other.connect().empty());
  FileOp::Kind kind = FileOp::Kind::open_or_create;
  SUBCASE("its file") {}
  SUBCASE("its folder") { kind = FileOp::Kind::make_directory; }
  bool is_bad = true;
  end.disk.fault = [&](const FileOp& op, const std::string& path) {
    return is_bad && op.kind == kind && path.starts_with("/store/inbox/web-1") ? EACCES : 0;
  };
  end.session.send("a");
  other.send("x");
  end.sync();
  end.run(1s);
  CHECK(end.log_text("db-1") == "x\n");
  CHECK(end.session.acknowledged == Seq{1});
  is_bad = false;
  end.run(11s);
  CHECK(end.log_text() == "a\n");
}

TEST_CASE("delivery: a log that cannot be opened after a crash waits alone, and gets nothing twice") {
  OpenStore end;
  SessionEnd other(end, "db-1");
  end.send("a");
  end.rest();
  end.send("b");  // in the log, behind the checkpoint
  REQUIRE(end.log_text() == "a\nb\n");
  int error = 0;
  SUBCASE("EIO") { error = EIO; }
  SUBCASE("EACCES") { error = EACCES; }
  SUBCASE("EMFILE") { error = EMFILE; }
  end.session.lose_server();
  end.kill();
  end.disk.fault = [&](const FileOp& op, const std::string& path) {
    const bool is_of_log = path == kLog || path.starts_with("/store/open/");
    return (op.kind == FileOp::Kind::open || op.kind == FileOp::Kind::open_or_create) && is_of_log ? error : 0;
  };
  REQUIRE(end.open().empty());
  REQUIRE(end.session.connect().empty());
  end.send("c");
  if (error != EMFILE) {
    REQUIRE(other.connect().empty());
    other.send("x");
    end.sync();
    end.run(1s);
    CHECK(end.log_text("db-1") == "x\n");
    CHECK(end.log.contains("what is for it waits"));
  }
  CHECK(end.session.acknowledged == Seq{3});
  error = 0;
  end.run(11s);
  CHECK(end.log_text() == "a\nb\nc\n");
  CHECK_FALSE(end.log.contains("was removed"));
  end.send("d");
  CHECK(end.log_text() == "a\nb\nc\nd\n");
}

TEST_CASE("delivery: a log that was renamed and cannot be opened after a crash is completed there") {
  OpenStore end;
  end.send("a");
  end.rest();
  end.send("b");
  end.session.lose_server();
  end.kill();
  end.disk.rename_file(kLog, kLog + ".1");
  bool is_bad = true;
  end.disk.fault = [&](const FileOp&, const std::string& path) {
    return is_bad && path.starts_with("/store/open/") ? EIO : 0;
  };
  REQUIRE(end.open().empty());
  REQUIRE(end.session.connect().empty());
  end.run(1s);
  is_bad = false;
  end.run(11s);
  end.send("c");
  CHECK(end.text_at(kLog + ".1") == "a\nb\n");
  CHECK(end.log_text() == "c\n");
}

TEST_CASE("delivery: a log that is opened beside one that cannot be has its name after a power cut") {
  OpenStore end;
  SessionEnd other(end, "db-1");
  REQUIRE(other.connect().empty());
  end.disk.fault = [&](const FileOp& op, const std::string& path) {
    return op.kind == FileOp::Kind::open_or_create && path.starts_with("/store/inbox/db-1") ? EACCES : 0;
  };
  end.session.send("a");
  other.send("x");
  end.sync();
  end.run(3s);
  REQUIRE(end.log_text() == "a\n");
  end.session.lose_server();
  other.lose_server();
  end.cut_power(Loss::everything);
  end.disk.fault = nullptr;
  REQUIRE(end.open().empty());
  end.run(3s);
  CHECK(end.log_text() == "a\n");
  CHECK(end.log_text("db-1") == "x\n");
}

TEST_CASE("delivery: what waits for a log that cannot be written outlives a kill") {
  OpenStore end;
  end.send("a");
  bool is_bad = true;
  end.disk.fault = [&](const FileOp& op, const std::string& path) {
    return is_bad && (op.kind == FileOp::Kind::append || op.kind == FileOp::Kind::write) && path == kLog ? ENOSPC : 0;
  };
  end.send("b");
  end.run(3s);
  end.restart();
  end.run(3s);
  is_bad = false;
  end.run(11s);
  CHECK(end.log_text() == "a\nb\n");
}

TEST_CASE("delivery: a failed sync of an inbox file loses nothing, even if the power goes afterwards") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    CAPTURE(seed);
    OpenStore end(seed);
    bool is_bad = true;
    end.disk.fault = [&](const FileOp& op, const std::string& path) {
      return is_bad && op.kind == FileOp::Kind::sync_data && path == kLog ? EIO : 0;
    };
    end.send("a");
    end.run(2s);
    CHECK(end.log.contains("sync fails"));
    is_bad = false;
    end.run(12s);
    end.send("b");
    end.restart(true);
    CHECK(end.log_text() == "a\nb\n");
  }
}

TEST_CASE("delivery: a failed sync of an inbox file keeps nothing of large messages open") {
  OpenStore end;
  end.send("a");
  int error = EIO;
  end.disk.fault = [&](const FileOp& op, const std::string& path) {
    return op.kind == FileOp::Kind::sync_data && path == kLog ? error : 0;
  };
  for (int message = 0; message < 15; ++message) {
    for (int i = 0; i < 3; ++i) {
      end.session.send_fragment(std::string(6'000, 'x'));
      end.sync();
      end.run(20ms);
    }
    end.send("end");
  }
  end.run(20s);
  error = 0;
  end.run(12s);
  end.rest();
  CHECK(end.disk.open_files() < 12);
}

TEST_CASE("delivery: a part that cannot be written holds up nothing else, and is completed later") {
  OpenStore end;
  SessionEnd other(end, "db-1");
  REQUIRE(other.connect().empty());
  bool is_bad = true;
  end.disk.fault = [&](const FileOp& op, const std::string& path) {
    return is_bad && op.kind == FileOp::Kind::write && path.starts_with("/store/partial/") ? ENOSPC : 0;
  };
  const std::string piece(6'000, 'x');
  for (int i = 0; i < 3; ++i) {
    end.session.send_fragment(piece);
    end.sync();
  }
  end.run(20ms);
  is_bad = false;
  end.run(12s);
  other.send("x");
  end.send("!");
  CHECK(end.log_text("db-1") == "x\n");
  CHECK((end.log_text() == piece + piece + piece + "!\n"));
}

TEST_CASE("delivery: one that lags takes its batches from the journal, in their order") {
  OpenStore end;
  end.options.memory = 64 * 1024;  // two small batches wait in it; the others are read from the journal
  end.store->set_options(end.options);
  end.disk.latency = [](const Job& job) { return job.front().kind == FileOp::Kind::write ? 1ms : Duration(300ms); };
  std::string expected;
  for (int i = 0; i < 40; ++i) {
    const std::string message = std::to_string(i) + std::string(1'000, '.');
    end.session.send(message);
    end.sync();
    expected += message + "\n";
  }
  CHECK(end.store->delivery().backlog(end.disk.now()).batches > 8);
  end.run(60s);
  CHECK((end.log_text() == expected));
}

TEST_CASE("delivery: a batch that cannot be read for a while is not left out") {
  OpenStore end;
  end.options.memory = 64 * 1024;  // two small batches wait in it; the others are read from the journal
  end.store->set_options(end.options);
  end.disk.latency = [](const Job& job) { return job.front().kind == FileOp::Kind::write ? 1ms : Duration(300ms); };
  bool is_bad = true;
  end.disk.fault = [&](const FileOp& op, const std::string&) {
    return is_bad && op.kind == FileOp::Kind::read ? EIO : 0;
  };
  std::string expected;
  for (int i = 0; i < 20; ++i) {
    end.session.send(std::to_string(i));
    end.sync();
    expected += std::to_string(i) + "\n";
  }
  end.run(2s);
  is_bad = false;
  end.run(20s);
  CHECK(end.log_text() == expected);
}

TEST_CASE("delivery: what becomes durable right behind a round waits for the next, ten milliseconds later") {
  OpenStore end;
  for (const char* message : {"one", "two", "three"}) {
    end.session.send(message);
    end.sync();
  }
  end.run(3s);  // with the checkpoint
  end.disk.latency = [](const Job&) { return Duration(100us); };
  std::string expected = end.log_text();
  end.session.send("four");
  end.store->flush();
  end.run(1ms);
  CHECK(end.log_text() == (expected += "four\n"));
  end.session.send("five");
  end.store->flush();
  end.run(8ms);
  CHECK(end.log_text() == expected);
  SUBCASE("or until then") { end.run(3ms); }
  SUBCASE("but for somebody who ends") {
    end.store->hurry();
    end.store->flush();
    end.run(1ms);
  }
  CHECK(end.log_text() == expected + "five\n");
}

TEST_CASE("delivery: a batch that comes back with a bit flipped nine times of ten is read again") {
  Random random(5);
  int reads = 0;
  OpenStore end;                   // it may be reading to the last
  end.options.memory = 64 * 1024;  // two small batches wait in it; the others are read from the journal
  end.store->set_options(end.options);
  end.disk.latency = [](const Job& job) { return job.front().kind == FileOp::Kind::write ? 1ms : Duration(300ms); };
  end.disk.misread = [&](std::uint64_t bits) -> std::optional<std::uint64_t> {
    if (++reads % 10 == 0) return std::nullopt;
    return random.below(bits);
  };
  std::string expected;
  for (int i = 0; i < 40; ++i) {
    const std::string message = std::to_string(i) + std::string(3'000, '.');
    end.session.send(message);
    end.sync();
    expected += message + "\n";
  }
  end.run(200s);
  CHECK(reads > 10);
  CHECK((end.log_text() == expected));
}

TEST_CASE("delivery: one that begins again reads again what comes back with a bit flipped") {
  OpenStore end;
  bool is_bad = true;
  end.disk.fault = [&](const FileOp& op, const std::string& path) {
    return is_bad && op.kind == FileOp::Kind::sync_data && path.starts_with("/store/inbox") ? EIO : 0;
  };
  Random random(6);
  int reads = 0;
  end.disk.misread = [&](std::uint64_t bits) -> std::optional<std::uint64_t> {
    if (++reads % 2 == 0) return std::nullopt;
    return random.below(bits);
  };
  std::string expected;
  for (int i = 0; i < 20; ++i) {
    const std::string message = std::to_string(i) + std::string(3'000, '.');
    end.send(message);
    expected += message + "\n";
  }
  end.run(4s);
  is_bad = false;
  end.run(60s);
  end.rest();
  CHECK(reads > 10);
  CHECK((end.log_text() == expected));
}

// --- crashes ---

TEST_CASE("delivery: without a crash everything is in the inbox once") {
  Crowd crowd(1);
  crowd.work();
  crowd.check_inbox();
}

TEST_CASE("delivery: a kill at any operation loses nothing, doubles nothing and takes nothing back from a reader") {
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    bool is_through = false;
    for (std::uint64_t operations = 0; !is_through; operations += seed) {
      CAPTURE(seed);
      CAPTURE(operations);
      Crowd crowd(seed);
      crowd.disk.crash_after(operations);
      try {
        crowd.work();
        is_through = true;
      } catch (const ProcessDied&) {
      }
      crowd.die(false);
      crowd.read_along();
      crowd.work();
      crowd.check_inbox();
    }
  }
}

TEST_CASE("delivery: a power cut at any operation loses nothing and doubles nothing") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    bool is_through = false;
    for (std::uint64_t operations = seed - 1; !is_through; operations += seed) {
      CAPTURE(seed);
      CAPTURE(operations);
      Crowd crowd(seed);
      crowd.disk.crash_after(operations);
      try {
        crowd.work();
        is_through = true;
      } catch (const ProcessDied&) {
      }
      crowd.die(true);
      crowd.work();
      crowd.check_inbox();
    }
  }
}

TEST_CASE("delivery: a log that is renamed shortly before a crash loses nothing and gets nothing twice") {
  for (const bool cuts_power : {false, true}) {
    bool is_through = false;
    for (std::uint64_t operations = 20; !is_through; operations += 2) {
      CAPTURE(cuts_power);
      CAPTURE(operations);
      Crowd crowd(operations);
      crowd.rename_at = static_cast<int>(operations % 5);
      crowd.disk.crash_after(operations);
      try {
        crowd.work();
        is_through = true;
      } catch (const ProcessDied&) {
      }
      crowd.die(cuts_power);
      crowd.rename_at = -1;
      crowd.seen.clear();
      crowd.work();
      crowd.check_inbox();
    }
  }
}

TEST_CASE("delivery: a crash in the recovery from a crash changes nothing either") {
  for (std::uint64_t operations = 40; operations < 400; operations += 23) {
    for (std::uint64_t again = 0; again < 60; again += 11) {
      CAPTURE(operations);
      CAPTURE(again);
      Crowd crowd(operations + again);
      const bool cuts_power = (operations + again) % 2 == 0;
      for (const std::uint64_t limit : {operations, again}) {
        crowd.disk.crash_after(limit);
        try {
          crowd.work();
        } catch (const ProcessDied&) {
        }
        crowd.die(cuts_power);
      }
      crowd.work();
      crowd.check_inbox();
    }
  }
}

// --- a client's share ---

namespace {

// web-1's log cannot be written.
struct Blocked : OpenStore {
  Blocked() {
    disk.fault = [this](const FileOp& op, const std::string& path) {
      const bool is_its_log = path == kLog && (op.kind == FileOp::Kind::append || op.kind == FileOp::Kind::write ||
                                               op.kind == FileOp::Kind::open_or_create);
      return is_blocked && is_its_log ? EACCES : 0;
    };
  }
  // So many messages of 1,000 bytes, each another.
  void send_many(SessionEnd& sender, int count) {
    for (int i = 0; i < count; ++i) {
      std::string message = std::to_string(sent++) + " ";
      message.resize(1'000, 'x');
      sender.send(message);
      if (&sender == &session) expected += message + "\n";
      if (i % 8 == 7) run(50ms);
    }
    sync();
    run(50ms);
  }
  std::string told() {
    const Error* error = store->no_room("web-1");
    return error == nullptr ? "" : error_name(error->code);
  }
  bool is_blocked = true;
  int sent = 0;
  std::string expected;
};

}  // namespace

// More clients than descriptors for their logs.
struct FewDescriptors : StoreEnd {
  explicit FewDescriptors(int count = 20, int limit = 6) : descriptors(limit) {
    disk.fault = [this](const FileOp& op, const std::string& path) {
      const bool is_log = path.starts_with("/store/inbox/") || path.starts_with("/store/open/");
      const bool opens = op.kind == FileOp::Kind::open || op.kind == FileOp::Kind::open_or_create;
      if (is_log && op.kind == FileOp::Kind::close) --open_logs;
      if (!is_log || !opens) return 0;
      if (open_logs == descriptors) return EMFILE;
      most = std::max(most, ++open_logs);
      return 0;
    };
    REQUIRE(open().empty());
    for (int i = 0; i < count; ++i) {
      clients.push_back(std::make_unique<SessionEnd>(*this, "web-" + std::to_string(i)));
      REQUIRE(clients.back()->connect().empty());
    }
  }
  void send_all(const std::string& text) {
    for (const auto& client : clients) client->send(text);
    sync();
    run(2s);
    expected += text + "\n";
    check();
  }
  void check() const {
    for (std::size_t i = 0; i < clients.size(); ++i)
      CHECK(log_text("web-" + std::to_string(i), "messages.log") == expected);
  }
  void restart() {
    for (const auto& client : clients) client->lose_server();
    kill();
    open_logs = 0;
    REQUIRE(open().empty());
    run(2s);
    for (const auto& client : clients) REQUIRE(client->connect().empty());
  }
  int descriptors;
  int open_logs = 0;
  int most = 0;
  std::vector<std::unique_ptr<SessionEnd>> clients;
  std::string expected;
};

TEST_CASE("delivery: where descriptors are short, every log comes to its turn") {
  FewDescriptors end;
  end.send_all("one");
  CHECK(end.most == 6);
  end.send_all("two");
  end.run(10s);
  end.send_all("three");
}

TEST_CASE("delivery: where descriptors are short, a crash repeats nothing and loses nothing") {
  for (const Duration time : {20ms, 100ms, 2'000ms}) {
    FewDescriptors end(600, 520);
    for (const auto& client : end.clients) client->send("one");
    end.sync();
    end.run(time);
    end.expected = "one\n";
    end.restart();
    end.check();
    end.send_all("two");
    end.restart();
    end.check();
  }
}

TEST_CASE("delivery: where descriptors are short, a log that is renamed is left with what it has") {
  FewDescriptors end;
  end.send_all("one");
  const std::string log = StoreEnd::inbox("web-7", "messages.log");
  end.disk.rename_file(log, log + ".1");
  for (const auto& client : end.clients) client->send("two");
  end.sync();
  end.run(2s);
  CHECK(end.log_text("web-7", "messages.log.1") == "one\n");
  CHECK(end.log_text("web-7", "messages.log") == "two\n");
  CHECK(end.log_text("web-8", "messages.log") == "one\ntwo\n");
}

TEST_CASE("delivery: where descriptors are short at recovery, a log that was renamed holds up no other") {
  OpenStore end;
  SessionEnd other(end, "db-1");
  REQUIRE(other.connect().empty());
  end.send("a");
  other.send("x");
  end.sync();
  end.run(20ms);
  REQUIRE(end.log_text("db-1") == "x\n");  // behind the checkpoint
  end.session.lose_server();
  other.lose_server();
  end.kill();
  end.disk.rename_file(kLog, kLog + ".1");
  int failures = 3;  // its name, its second name, and that once more
  end.disk.fault = [&](const FileOp& op, const std::string& path) {
    const bool is_of_other = path.ends_with("/db-1/messages.log") || path == "/store/open/0000000000000002";
    return op.kind == FileOp::Kind::open && is_of_other && failures > 0 && failures-- > 0 ? EMFILE : 0;
  };
  REQUIRE(end.open().empty());
  end.run(11s);
  CHECK(failures == 0);
  REQUIRE(other.connect().empty());
  other.send("z");
  end.sync();
  end.run(1s);
  CHECK(end.log_text("db-1") == "x\nz\n");
}

TEST_CASE("delivery: a log that cannot be written holds neither the journal nor anybody else") {
  Blocked end;
  end.send_many(end.session, 10);
  SessionEnd other(end, "web-2");
  REQUIRE(other.connect().empty());
  end.send_many(other, 2'000);  // 2 MB through segments of 64 KiB
  CHECK(end.segments().size() <= 8);
  CHECK(end.store->room() > 0);
  CHECK(end.store->delivery().backlog(end.disk.now()).batches <= 1);
  CHECK(end.log_bytes("web-2", "messages.log").size() == 2'000 * 1'001);
  CHECK(end.told().empty());
  end.is_blocked = false;
  end.run(10s);
  CHECK(end.log_text() == end.expected);
}

TEST_CASE("delivery: beyond its share a client whose log cannot be written waits, and goes on when it can be") {
  Blocked end;
  end.send_many(end.session, 100);
  CHECK(end.told() == "inbox_blocked");
  CHECK(end.store->no_room("web-1")->sentence.find(kLog + " cannot be written (Permission denied)") !=
        std::string::npos);
  CHECK(end.store->no_room("web-2") == nullptr);
  CHECK(end.log.count("wait for that; its senders wait") == 1);
  end.is_blocked = false;
  end.run(10s);
  CHECK(end.told().empty());
  CHECK(end.log_text() == end.expected);
  CHECK(end.log.count("its senders go on") == 1);
}

TEST_CASE("delivery: what was set aside outlives kills and power cuts, comes once and in order, and is then removed") {
  for (const bool cuts_power : {false, true}) {
    Blocked end;
    for (int round = 0; round < 4; ++round) {
      end.send_many(end.session, 20);
      if (round % 2 == 0) end.run(2s);  // with a checkpoint, and without
      end.restart(cuts_power);
    }
    CHECK(end.told() == "inbox_blocked");
    end.is_blocked = false;
    end.send_many(end.session, 20);
    end.run(10s);
    CHECK(end.log_text() == end.expected);
    end.rest();
    CHECK(end.parts() == 0);
  }
}

TEST_CASE("delivery: a crash while what was set aside goes to its log repeats none of it") {
  for (std::uint64_t operations = 0; operations < 60; ++operations) {
    Blocked end;
    end.send_many(end.session, 10);
    end.run(2s);
    end.is_blocked = false;
    end.disk.crash_after(operations);
    try {
      end.run(10s);
    } catch (const ProcessDied&) {
    }
    end.disk.never_crash();
    end.restart();
    end.run(10s);
    REQUIRE(end.log_text() == end.expected);
  }
}

TEST_CASE(
    "delivery: what was set aside comes once, though the log is renamed before it goes there and the daemon dies") {
  for (std::uint64_t operations = 0; operations < 60; ++operations) {
    Blocked end;
    end.send_many(end.session, 10);
    end.run(2s);
    end.is_blocked = false;
    bool is_renamed = false;
    end.disk.fault = [&](const FileOp& op, const std::string& path) {
      if (op.kind == FileOp::Kind::expect_identity && !std::exchange(is_renamed, true))
        end.disk.rename_file(path, path + ".1");
      return 0;
    };
    end.disk.crash_after(operations);
    try {
      end.run(10s);
    } catch (const ProcessDied&) {
    }
    end.disk.never_crash();
    end.restart();
    end.run(10s);
    REQUIRE(end.text_at(kLog + ".1") + end.log_text() == end.expected);
  }
}

TEST_CASE("delivery: a log that was renamed with half a message in it is completed, whatever crashes before") {
  Blocked end;
  end.is_blocked = false;
  end.send_many(end.session, 5);
  end.run(2s);
  end.is_blocked = true;
  end.send_many(end.session, 10);
  end.run(2s);
  end.disk.rename_file(kLog, kLog + ".1");
  for (int crash = 0; crash < 3; ++crash) {
    end.restart();
    end.send_many(end.session, 5);
    end.run(7s);
  }
  end.is_blocked = false;
  end.run(10s);
  CHECK(end.text_at(kLog + ".1") + end.log_text() == end.expected);
  CHECK(end.text_at(kLog + ".1").ends_with('\n'));
}

TEST_CASE("delivery: what was set aside and is gone is said with its bytes, and what comes later arrives") {
  Blocked end;
  end.send_many(end.session, 10);
  end.run(2s);
  end.session.lose_server();
  end.kill();
  end.disk.remove_file("/store/partial/" + end.disk.list_directory("/store/partial").at(0));
  REQUIRE(end.open().empty());
  CHECK(end.log.contains(".aside is gone: 9.8 KiB that waited in it for web-1/messages.log are lost"));
  end.is_blocked = false;
  REQUIRE(end.session.connect().empty());
  end.send("later");
  end.run(10s);
  CHECK(end.log_text() == "later\n");
}

TEST_CASE(
    "delivery: what was set aside outlives a new beginning while the checkpoint that names it waits for the journal") {
  Blocked end;
  bool journal_fails = false, moving_fails = true, folders_fail = false;
  const auto blocked = end.disk.fault;
  end.disk.fault = [&, blocked](const FileOp& op, const std::string& path) {
    if (journal_fails && op.kind == FileOp::Kind::sync_data && path.starts_with("/store/journal")) return EIO;
    const bool moves = op.kind == FileOp::Kind::move_beside || op.kind == FileOp::Kind::move_file;
    if (moving_fails && moves) return EACCES;
    const bool is_folder = path.ends_with("/files") || (path != "/store/journal" && end.log.contains("sync fails"));
    if (folders_fail && op.kind == FileOp::Kind::sync_directory && is_folder) return EIO;
    return blocked(op, path);
  };
  SessionEnd files(end, "db-1", "files", MessageKind::file);
  REQUIRE(files.connect().empty());
  files.send_file({"a", 1, {}, {}}, as_bytes("a"));
  end.run(200ms);
  end.send_many(end.session, 10);
  journal_fails = true;
  end.run(3s);  // it is set aside, and a checkpoint says so to a journal that fails
  REQUIRE(end.parts() == 2);
  moving_fails = false;
  folders_fail = true;
  end.run(6s);  // the file is tried again, and delivery begins anew; it cannot make a checkpoint, either
  CHECK(end.log.contains("sync fails"));
  journal_fails = false;
  end.run(20s);
  CHECK(end.log.contains("the disk works again"));
  folders_fail = false;
  end.is_blocked = false;
  end.run(20s);
  CHECK_FALSE(end.log.contains(".aside is gone"));
  CHECK(end.log_text() == end.expected);
}

TEST_CASE("delivery: what cannot be set aside either waits in the journal") {
  Blocked end;
  const auto blocked = end.disk.fault;
  end.disk.fault = [&, blocked](const FileOp& op, const std::string& path) {
    if (end.is_blocked && path.ends_with(".aside")) return ENOSPC;
    return blocked(op, path);
  };
  end.send_many(end.session, 30);
  end.run(10s);
  CHECK(end.log.contains("what waits for logs stays in the journal"));
  end.restart();
  end.is_blocked = false;
  end.run(20s);
  CHECK(end.log_text() == end.expected);
}

TEST_CASE("delivery: while a log waits for the journal that fails, no checkpoint is due") {
  OpenStore end;
  SessionEnd other(end, "db-1");
  REQUIRE(other.connect().empty());
  bool is_blocked = true;
  bool fails = false;
  end.disk.fault = [&](const FileOp& op, const std::string& path) {
    if (op.kind == FileOp::Kind::open_or_create && path == end.inbox("db-1", "messages.log")) {
      if (is_blocked) return EACCES;
      fails = true;
    }
    return fails && op.kind == FileOp::Kind::sync_data && path.starts_with("/store/journal") ? EIO : 0;
  };
  other.send("x");
  end.sync();
  end.run(4700ms);  // it is set aside; a checkpoint for that, and one for the next
  end.send("a");
  end.run(100ms);
  end.send("b");
  is_blocked = false;
  end.run(500ms);
  REQUIRE(fails);
  end.disk.advance_to(end.disk.now() + 1s);
  end.store->handle_timeout();
  CHECK(end.store->next_deadline() > end.disk.now());
}

TEST_CASE("delivery: a large message waits for its log as small ones do") {
  Blocked end;
  for (int i = 0; i < 10; ++i) {
    end.session.send_fragment(std::string(3'000, static_cast<char>('a' + i)));
    end.sync();
    end.run(20ms);
  }
  end.session.send("end");
  end.run(5s);
  end.restart();
  end.is_blocked = false;
  end.run(10s);
  CHECK(end.log_text().size() == 10 * 3'000 + 4);
  CHECK(end.log_text().ends_with("jjend\n"));
}
