// A log on a disk that has no answer for a while: no descriptors, a failing read, a server that took the file away.
#include <doctest/doctest.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/followed_log.h"
#include "client/line_source.h"
#include "tests/support/memory_files.h"

using namespace cproto;
using namespace cproto::client;
using namespace cproto::test;

namespace {

const std::string kLog = "/var/app.log";

struct NoWatch final : LogWatch {
  void arm(const std::string&, bool) override {}
};

// Whose time passes when it is told to.
class MemoryMachine final : public Machine {
 public:
  Files& files() override { return disk; }
  Instant now() const override { return time; }
  void run_aside(std::function<void()>, std::function<void()>) override { FAIL("not here"); }
  std::unique_ptr<LogWatch> watch_log(Duration, std::function<void()>) override { return std::make_unique<NoWatch>(); }
  std::unique_ptr<Stream> make_stream(std::function<void()>) override { return nullptr; }

  MemoryMachine() { REQUIRE(make_directories(disk, "/var") == 0); }

  Instant time{};
  MemoryFiles disk{1, [this] { return (time - Instant{}).count() + 1'000'000'000; }};
};

struct Reader : LogListener {
  explicit Reader(MemoryMachine& where)
      : machine(where),
        log(
            machine, kLog, [] {}, *this) {}

  // What comes in ten seconds.
  std::string reads() {
    std::string text;
    for (int i = 0; i < 10; ++i) {
      for (ByteInput::Got got = ByteInput::Got::some; got != ByteInput::Got::wait;) {
        got = log.fill();
        REQUIRE(got != ByteInput::Got::failed);
        text += as_text(log.data());
        log.consume(log.data().size());
      }
      machine.time += 1s;
    }
    return text;
  }

  MemoryMachine& machine;
  std::vector<std::string> lost;
  std::vector<std::string> notes;
  FollowedLog log;

 private:
  void on_lost(const LostBytes& loss) override { lost.push_back(loss.what); }
  void on_note(const std::string& sentence) override { notes.push_back(sentence); }
};

// Has read the log from its start to its end.
struct Begun : Reader {
  Begun(MemoryMachine& where, const std::string& expected) : Reader(where) {
    REQUIRE(log.begin(false) == 0);
    CHECK(reads() == expected);
  }
};

// For a source that wants one of its own.
struct Borrowed final : ByteInput {
  explicit Borrowed(ByteInput& log) : input(log) {}
  Got fill() override { return input.fill(); }
  int error() const override { return input.error(); }
  ByteView data() const override { return input.data(); }
  void consume(std::size_t bytes) override { input.consume(bytes); }
  bool is_stream() const override { return input.is_stream(); }
  bool has_writer() const override { return input.has_writer(); }
  ByteInput& input;
};

void write(MemoryMachine& machine, const std::string& text) {
  machine.disk.append(kLog, as_bytes(text));
  machine.time += 1s;
}

void rotate(MemoryMachine& machine, const std::string& text) {
  machine.disk.rename(kLog, kLog + ".1");
  write(machine, text);
}

}  // namespace

TEST_CASE("followed log: a read that fails is told once and tried again") {
  MemoryMachine machine;
  write(machine, "a\n");
  Begun reader(machine, "a\n");
  machine.disk.disk.fault = [](const FileOp& op, const std::string&) {
    return op.kind == FileOp::Kind::read ? EIO : 0;
  };
  write(machine, "b\n");
  CHECK(reader.reads().empty());
  CHECK(reader.notes == std::vector<std::string>{kLog + ": Input/output error; it is tried again"});
  machine.disk.disk.fault = nullptr;
  CHECK(reader.reads() == "b\n");
  CHECK(reader.lost.empty());
}

TEST_CASE("followed log: where a disk does not say what is there, nothing is taken for lost") {
  using Kind = FileOp::Kind;
  bool is_copied = false;
  SUBCASE("rotated") {}
  SUBCASE("copied and truncated") { is_copied = true; }
  for (const Kind failing : {Kind::list, Kind::open_to_read, Kind::read, Kind::status_of_path}) {
    CAPTURE(failing);
    MemoryMachine machine;
    write(machine, "a\n");
    LogPlace place;
    {
      Begun reader(machine, "a\n");
      place = reader.log.place();
    }
    write(machine, "b\n");
    if (is_copied) {
      machine.disk.copy(kLog, kLog + ".1");
      machine.disk.truncate(kLog);
      write(machine, "c\n");
    } else {
      rotate(machine, "c\n");
    }
    machine.disk.disk.fault = [&](const FileOp& op, const std::string& path) {
      return op.kind == failing && (path != kLog || failing == Kind::read) ? EMFILE : 0;
    };
    Reader reader(machine);
    REQUIRE(reader.log.resume(place) == 0);
    CHECK(reader.reads().empty());
    CHECK(reader.lost.empty());
    machine.disk.disk.fault = nullptr;
    CHECK(reader.reads() == "b\nc\n");
    CHECK(reader.lost.empty());
  }
}

TEST_CASE("followed log: a file that its server took from under us is looked for anew") {
  MemoryMachine machine;
  write(machine, "a\n");
  Begun reader(machine, "a\n");
  write(machine, "b\n");
  int failures = 1;
  machine.disk.disk.fault = [&](const FileOp& op, const std::string&) {
    return op.kind == FileOp::Kind::read && failures-- > 0 ? ESTALE : 0;
  };
  CHECK(reader.reads() == "b\n");
  CHECK(reader.lost.empty());
}

TEST_CASE("followed log: a line that is not whole when its file is taken from under us comes once, and whole") {
  MemoryMachine machine;
  write(machine, "a\nhalf");
  Reader reader(machine);
  LineSource source("app.log", std::make_unique<Borrowed>(reader.log));
  REQUIRE(reader.log.begin(false) == 0);
  std::string lines;
  const auto read = [&] {
    for (int i = 0; i < 10; ++i) {
      for (Piece piece = source.peek(1'000); piece.kind == Piece::Kind::part; piece = source.peek(1'000)) {
        lines += std::string(as_text(piece.bytes)) + "|";
        source.take(piece.bytes.size(), true);
      }
      machine.time += 1s;
    }
  };
  read();
  int failures = 1;
  machine.disk.disk.fault = [&](const FileOp& op, const std::string&) {
    return op.kind == FileOp::Kind::read && failures-- > 0 ? ESTALE : 0;
  };
  read();
  CHECK(failures <= 0);
  write(machine, " line\nb\n");
  read();
  CHECK(lines == "a|half line|b|");
}

TEST_CASE("followed log: what became known of a file while the disk had no answer makes a place of its own") {
  MemoryMachine machine;
  write(machine, "");
  Begun reader(machine, "");
  const std::uint64_t before = reader.log.generation();
  machine.disk.disk.fault = [](const FileOp& op, const std::string&) {
    return op.kind == FileOp::Kind::status_of_path ? EIO : 0;
  };
  write(machine, "a\n");
  CHECK(reader.reads().empty());
  machine.disk.disk.fault = nullptr;
  CHECK(reader.reads() == "a\n");
  CHECK(reader.log.place().fingerprint.bytes == 2);
  CHECK(reader.log.generation() > before);
}

TEST_CASE("followed log: late bytes that a server took are looked for, and told once where they are gone") {
  MemoryMachine machine;
  write(machine, "a\n");
  Begun reader(machine, "a\n");
  rotate(machine, "b\n");
  CHECK(reader.reads() == "b\n");
  machine.disk.append(kLog + ".1", as_bytes("late\n"));
  machine.time += 1s;
  bool is_gone = false;
  SUBCASE("there") {}
  SUBCASE("gone") { is_gone = true; }
  // Not the first bytes, which are looked at before.
  machine.disk.disk.fault = [&](const FileOp& op, const std::string&) {
    if (op.kind != FileOp::Kind::read || op.offset == 0) return 0;
    if (is_gone && machine.disk.disk.exists(kLog + ".1")) machine.disk.remove_file(kLog + ".1");
    return ESTALE;
  };
  CHECK(reader.reads().empty());
  machine.disk.disk.fault = nullptr;
  write(machine, "c\n");
  CHECK(reader.reads() == (is_gone ? "c\n" : "c\nlate\n"));
  CHECK(reader.lost.size() == (is_gone ? 1 : 0));
}

TEST_CASE("noting files: that a file is not there, or not any more, is an answer; that the disk fails is none") {
  MemoryFiles disk{1, [] { return std::int64_t{1}; }};
  NotingFiles files(disk);
  int error = 0;
  disk.disk.fault = [&](const FileOp& op, const std::string&) {
    return op.kind == FileOp::Kind::status_of_path ? error : 0;
  };
  for (const int answer : {ENOENT, EACCES, ESTALE}) {
    error = answer;
    CHECK_FALSE(files.facts_of("/file"));
    CHECK(files.trouble() == 0);
  }
  for (const int failure : {EIO, EMFILE, ENOMEM}) {
    error = failure;
    files.forget();
    CHECK_FALSE(files.facts_of("/file"));
    CHECK(files.trouble() == failure);
  }
}
