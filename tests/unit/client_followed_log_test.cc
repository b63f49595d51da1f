#include "client/followed_log.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "client/line_source.h"
#include "client/uv_machine.h"
#include "proto/random.h"

using namespace cproto;
using namespace cproto::client;
namespace fs = std::filesystem;

namespace {

class TestLoop {
 public:
  TestLoop() { uv_loop_init(&loop_); }
  ~TestLoop() {
    uv_run(&loop_, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop_) == 0);
  }
  uv_loop_t* get() { return &loop_; }

 private:
  uv_loop_t loop_;
};

// A directory with a log in it, and the hands of those who write and rotate it.
class Logs {
 public:
  Logs() { REQUIRE(mkdtemp(directory_.data()) != nullptr); }
  explicit Logs(const std::string& text) : Logs() { write(text); }
  ~Logs() { fs::remove_all(directory_); }

  std::string path(const std::string& name = "app.log") const { return directory_ + "/" + name; }

  void write(const std::string& text, const std::string& name = "app.log") const {
    std::ofstream(path(name), std::ios::binary | std::ios::app) << text;
  }
  void rename(const std::string& from, const std::string& to) const { fs::rename(path(from), path(to)); }
  void remove(const std::string& name) const { fs::remove(path(name)); }
  bool has(const std::string& name) const { return fs::exists(path(name)); }
  void truncate(const std::string& name = "app.log") const { fs::resize_file(path(name), 0); }

  // app.log.2 -> app.log.3, app.log.1 -> app.log.2: as logrotate does before it sets the log aside.
  void make_room() const {
    int last = 1;
    while (has("app.log." + std::to_string(last))) ++last;
    for (; last > 1; --last) rename("app.log." + std::to_string(last - 1), "app.log." + std::to_string(last));
  }
  // `text` is what the new one begins with.
  void rotate(const std::string& text = "") const {
    make_room();
    rename("app.log", "app.log.1");
    write(text);
  }
  void copy_and_truncate(const std::string& text = "") const {
    make_room();
    fs::copy_file(path(), path("app.log.1"));
    truncate();
    write(text);
  }
  // As gzip leaves it, but for what is in it. It keeps the time.
  void compress(const std::string& name, bool keeps_time = true) const {
    const auto time = fs::last_write_time(path(name));
    const std::uintmax_t size = fs::file_size(path(name));
    std::string content = "\x1f\x8b compressed ";
    for (int shift = 0; shift < 32; shift += 8) content += static_cast<char>(size >> shift & 0xff);
    write(content, name + ".gz");
    if (keeps_time) fs::last_write_time(path(name + ".gz"), time);
    remove(name);
  }

 private:
  std::string directory_ = fs::temp_directory_path() / "cproto-follow-XXXXXX";
};

struct Told final : LogListener {
  void on_lost(const LostBytes& loss) override { lost.push_back(loss); }
  void on_note(const std::string& sentence) override { notes.push_back(sentence); }
  bool nothing() const { return lost.empty() && notes.empty(); }

  std::vector<LostBytes> lost;
  std::vector<std::string> notes;
};

constexpr FollowTimes kFast{20ms, 10s, 4ms};
constexpr FollowTimes kVeryFast{5ms, 10s, 2ms};

// Takes what comes as LineSource does: whole lines, and what is left before a boundary. Boundaries show as '|'.
class Reader {
 public:
  explicit Reader(const Logs& logs, const std::string& name = "app.log", FollowTimes times = kFast)
      : log(std::make_unique<FollowedLog>(
            machine_, logs.path(name), [this] { wake(); }, told, times)) {}

  // What there is at once. Returns why it ended.
  ByteInput::Got take() { return take_some(INT_MAX); }
  ByteInput::Got take_some(int fills) {
    is_woken_ = true;  // there may be more than is taken
    while (fills-- > 0) {
      const ByteInput::Got got = log->fill();
      REQUIRE(got != ByteInput::Got::failed);
      if (std::exchange(marked_generation_, log->generation()) != log->generation() || !mark_) {
        mark_ = log->place();
        taken_since_ = 0;
      }
      const std::string_view data = as_text(log->data());
      const std::size_t lines = got == ByteInput::Got::boundary ? data.size() : data.rfind('\n') + 1;
      stream += data.substr(0, lines);
      log->consume(lines);
      taken_since_ += lines;
      if (got == ByteInput::Got::boundary) stream += '|';
      if (got != ByteInput::Got::wait && got != ByteInput::Got::failed) continue;
      is_woken_ = false;
      return got;
    }
    return ByteInput::Got::some;
  }
  void run_for(Duration time) {
    for (const Instant end = now() + time; now() < end;) turn();
  }
  // Runs until `expected` was read in all, and then a little longer, so that more would show.
  bool reads(const std::string& expected) {
    for (const Instant end = now() + 5s; stream != expected && now() < end;) turn();
    run_for(10ms);
    if (stream != expected) MESSAGE("read: " << stream);
    return stream == expected;
  }

  // Where it stands, as KeptLines counts it: from where it was when the generation last changed.
  LogPlace counted_place() const {
    LogPlace place = mark_ ? *mark_ : log->place();
    place.offset += taken_since_;
    return place;
  }

  Told told;
  std::string stream;

  void turn() {
    if (!is_woken_) uv_run(loop_.get(), UV_RUN_ONCE);
    if (is_woken_) REQUIRE(take() == ByteInput::Got::wait);
  }

 private:
  // A timer may wake before the loop waits, which it would do in any case.
  void wake() {
    is_woken_ = true;
    uv_stop(loop_.get());
  }

  TestLoop loop_;
  UvMachine machine_{loop_.get()};
  bool is_woken_ = true;
  std::optional<LogPlace> mark_;
  std::uint64_t marked_generation_ = 0;
  std::uint64_t taken_since_ = 0;

 public:
  std::unique_ptr<FollowedLog> log;
};

// Has read the log from its start to its end.
struct Begun : Reader {
  Begun(const Logs& logs, const std::string& expected, FollowTimes times = kFast) : Reader(logs, "app.log", times) {
    REQUIRE(log->begin(false) == 0);
    CHECK(reads(expected));
    CHECK(told.nothing());
  }
};

struct Resumed : Reader {
  Resumed(const Logs& logs, const LogPlace& place, const std::string& name = "app.log", FollowTimes times = kFast)
      : Reader(logs, name, times) {
    REQUIRE(log->resume(place) == 0);
  }
};

// Reads the log from its start to its end, and says where it stands.
LogPlace read_all(const Logs& logs, const std::string& expected) {
  const Begun reader(logs, expected);
  return reader.log->place();
}

LogPlace stored(const LogPlace& place) {
  Bytes bytes;
  ByteWriter writer(bytes);
  put_place(writer, place);
  ByteReader reader(bytes);
  return get_place(reader);
}

enum class Rotated { by_rename, by_copy, while_written };

void rotate_at_random(const Logs& logs, Rotated rotated) {
  if (rotated != Rotated::by_rename) usleep(5000);  // the file system's clock has steps, and here it is needed
  rotated == Rotated::by_copy ? logs.copy_and_truncate() : logs.rotate();
}

// A log is written and rotated at random, and its reader stopped and resumed, at its place or at one it had before.
// What was read and what was written must be the same lines; in the same order, but for those written late.
void check_random_life(std::uint64_t seed, Rotated rotated) {
  INFO("seed " << seed << ", kind " << static_cast<int>(rotated));
  Random random(seed);
  const Logs logs;
  std::uint64_t count = 0;
  std::string written;
  const auto write_lines = [&](const std::string& name, std::uint64_t lines) {
    std::string text;
    while (lines-- > 0) {
      text += std::to_string(++count);
      text.append(random.chance(10) ? random.below(3000) : random.below(20), '.');
      text += random.chance(1) ? std::string(random.below(200'000), 'x') + "\n" : "\n";
    }
    logs.write(text, name);
    written += text;
  };

  write_lines("app.log", random.below(3));
  auto reader = std::make_unique<Reader>(logs, "app.log", kVeryFast);
  REQUIRE(reader->log->begin(false) == 0);
  std::string before;  // what readers before this one had read
  std::size_t kept_size = 0;
  LogPlace kept = reader->log->place();
  const auto all_read = [&] {
    std::string all = before + reader->stream;
    std::erase(all, '|');
    return all;
  };
  for (int step = 0; step < 120; ++step) {
    const std::uint64_t action = random.below(100);
    if (action < 35)
      write_lines("app.log", random.between(1, 10));
    else if (action < 45)
      rotate_at_random(logs, rotated);
    else if (action < 70)
      reader->take_some(static_cast<int>(random.between(1, 8)));
    else if (action < 75)
      reader->run_for(8ms);
    else if (action < 80 && rotated == Rotated::while_written && logs.has("app.log.1"))
      write_lines("app.log.1", 2);
    else if (action < 90) {
      kept = stored(reader->counted_place());
      kept_size = all_read().size();
    } else if (action < 95) {
      before = all_read().substr(0, kept_size);
      CHECK(reader->told.nothing());
      reader = std::make_unique<Resumed>(logs, kept, "app.log", kVeryFast);
    }
  }
  for (const Instant end = now() + 10s; all_read().size() < written.size() && now() < end;) reader->run_for(5ms);
  reader->run_for(10ms);
  CHECK(reader->told.nothing());
  for (const LostBytes& lost : reader->told.lost) MESSAGE(lost.what);
  const auto lines_of = [&](const std::string& text) {
    std::vector<std::string> lines;
    for (std::size_t at = 0, end; (end = text.find('\n', at)) != text.npos; at = end + 1)
      lines.push_back(text.substr(at, end - at));
    if (rotated == Rotated::while_written) std::sort(lines.begin(), lines.end());
    return lines;
  };
  CHECK(lines_of(all_read()) == lines_of(written));
  CHECK(all_read().size() == written.size());
}

// As fast as they can: a thread that writes and rotates, and readers that are each resumed where the one before was.
void check_rotated_meanwhile(Rotated rotated) {
  INFO("kind " << static_cast<int>(rotated));
  const Logs logs("");
  std::string written;
  std::thread writer([&] {
    Random random(1);
    const Instant end = now() + 500ms;
    for (int line = 0; now() < end; usleep(static_cast<unsigned>(random.below(2000)))) {
      std::string text;
      for (std::uint64_t lines = random.below(50); lines > 0; --lines) text += std::to_string(++line) + "\n";
      logs.write(text);
      written += text;
      if (random.chance(15)) rotate_at_random(logs, rotated);
    }
  });
  auto reader = std::make_unique<Reader>(logs, "app.log", kVeryFast);
  REQUIRE(reader->log->begin(false) == 0);
  std::string before;
  for (int life = 0; life < 50; ++life) {
    reader->run_for(10ms);
    before += reader->stream;
    const LogPlace place = reader->counted_place();
    CHECK(reader->told.nothing());
    reader = std::make_unique<Resumed>(logs, place, "app.log", kVeryFast);
  }
  writer.join();
  const auto all_read = [&] {
    std::string all = before + reader->stream;
    std::erase(all, '|');
    return all;
  };
  for (const Instant end = now() + 10s; all_read().size() < written.size() && now() < end;) reader->run_for(5ms);
  CHECK(reader->told.nothing());
  const std::string read = all_read();
  const auto at = static_cast<std::size_t>(
      std::mismatch(read.begin(), read.end(), written.begin(), written.end()).first - read.begin());
  INFO("from byte " << at << " of " << written.size() << ": " << written.substr(at, 40) << " was read as "
                    << read.substr(at, 40));
  CHECK((read == written));
}

}  // namespace

TEST_CASE("followed log: read from its start, and on as it grows") {
  const Logs logs("a\nb\n");
  Begun reader(logs, "a\nb\n");
  logs.write("c\n");
  CHECK(reader.reads("a\nb\nc\n"));
  CHECK(reader.told.nothing());
}

TEST_CASE("followed log: its generation changes with its first bytes and with its file, and not with each line") {
  const Logs logs("");
  Reader reader(logs);
  REQUIRE(reader.log->begin(false) == 0);
  std::uint64_t generation = reader.log->generation();
  const auto has_changed = [&] { return std::exchange(generation, reader.log->generation()) != generation; };
  std::string expected;
  const auto grow = [&](const std::string& line) {
    logs.write(line);
    CHECK(reader.reads(expected += line));
  };
  grow("a\n");
  CHECK(has_changed());
  grow(std::string(kFingerprintBytesMax, 'b') + "\n");
  CHECK(has_changed());
  grow("c\n");
  CHECK_FALSE(has_changed());
  logs.rotate("d\n");
  CHECK(reader.reads(expected + "|d\n"));
  CHECK(has_changed());
}

TEST_CASE("followed log: read from its end, which is behind the last whole line") {
  const Logs logs(std::string(200'000, 'x') + "\nhal");
  Reader reader(logs);
  REQUIRE(reader.log->begin(true) == 0);
  CHECK(reader.reads(""));
  logs.write("f\n");
  CHECK(reader.reads("half\n"));
  CHECK(reader.told.nothing());
}

TEST_CASE("followed log: one that is not there yet is waited for, and so is its directory") {
  const Logs logs;
  Reader reader(logs, "later/app.log");
  REQUIRE(reader.log->begin(true) == 0);
  CHECK(reader.reads(""));
  CHECK(reader.log->place().inode == 0);
  fs::create_directory(logs.path("later"));
  logs.write("a\n", "later/app.log");
  CHECK(reader.reads("a\n"));
  CHECK(reader.told.nothing());
}

TEST_CASE("followed log: news comes at once where the directory can be watched") {
  const Logs logs("");
  Reader reader(logs, "app.log", {2s, 30s, 60s});
  REQUIRE(reader.log->begin(false) == 0);
  REQUIRE(reader.take() == ByteInput::Got::wait);
  logs.write("a\n");
  const Instant start = now();
  while (reader.stream.empty() && now() - start < 5s) reader.turn();
  CHECK(reader.stream == "a\n");
}

TEST_CASE("followed log: half a line waits for the rest of it") {
  const Logs logs("a\nha");
  Begun reader(logs, "a\n");
  CHECK(reader.log->place().offset == 2);
  logs.write("lf\n");
  CHECK(reader.reads("a\nhalf\n"));
}

TEST_CASE("followed log: rotated, the old file is read to its end before the new one") {
  const Logs logs("a\n");
  Begun reader(logs, "a\n");
  logs.write("b\n");
  logs.rename("app.log", "app.log.1");
  logs.write("c\n", "app.log.1");
  logs.write("d\n");
  CHECK(reader.reads("a\nb\nc\n|d\n"));
  CHECK(reader.told.nothing());
}

TEST_CASE("followed log: a rotated one is not left before it is quiet") {
  const Logs logs("a\n");
  Begun reader(logs, "a\n", {300ms, 10s, 4ms});
  logs.rotate("new\n");
  std::string old = "a\n";
  for (int i = 0; i < 4; ++i) {
    logs.write("old\n", "app.log.1");
    CHECK(reader.reads(old += "old\n"));
    reader.run_for(20ms);
  }
  CHECK(reader.reads(old + "|new\n"));
}

TEST_CASE("followed log: a rotated one that never becomes quiet does not hold up the new one") {
  const Logs logs("a\n");
  Begun reader(logs, "a\n", {1s, 30ms, 4ms});
  logs.rotate("new\n");
  for (int i = 0; i < 50 && reader.stream.find("new") == std::string::npos; ++i) {
    logs.write("o\n", "app.log.1");
    reader.run_for(4ms);
  }
  CHECK(reader.stream.find("new\n") != std::string::npos);
  CHECK(reader.told.nothing());
}

TEST_CASE("followed log: a last line without LF ends with its file") {
  const Logs logs("a\nb");
  Begun reader(logs, "a\n");
  logs.rotate("c\n");
  CHECK(reader.reads("a\nb|c\n"));
}

TEST_CASE("followed log: what is written late to the file before is read, and then the new one on from where it was") {
  const Logs logs("a\n");
  Begun reader(logs, "a\n");
  logs.rotate("b\n");
  CHECK(reader.reads("a\n|b\n"));
  logs.write("late\n", "app.log.1");
  CHECK(reader.reads("a\n|b\n|late\n|"));
  logs.write("c\n");
  CHECK(reader.reads("a\n|b\n|late\n|c\n"));
  CHECK(reader.told.nothing());
}

TEST_CASE("followed log: late bytes do not cut a line of the new file in two") {
  const Logs logs("a\n");
  Begun reader(logs, "a\n");
  logs.rotate("b\nha");
  CHECK(reader.reads("a\n|b\n"));
  logs.write("la", "app.log.1");
  CHECK(reader.reads("a\n|b\n|la|"));
  logs.write("lf\n");
  CHECK(reader.reads("a\n|b\n|la|half\n"));
}

TEST_CASE("followed log: late bytes are read before their file is too old to be looked at") {
  const Logs logs("a\n");
  Reader reader(logs);
  REQUIRE(reader.log->begin(false) == 0);
  logs.rotate("b\n");
  REQUIRE(reader.reads("a\n|b\n"));
  logs.write("late\n", "app.log.1");
  logs.rotate("c\n");
  CHECK(reader.reads("a\n|b\n|late\n||c\n"));
}

TEST_CASE("followed log: rotated several times between two looks, each file is read once and in order") {
  const Logs logs("a\n");
  Begun reader(logs, "a\n");
  for (const char* line : {"b\n", "c\n", "d\n", "e\n"}) {
    logs.rotate(line);
  }
  CHECK(reader.reads("a\n|b\n|c\n|d\n|e\n"));
  CHECK(reader.told.nothing());
}

TEST_CASE("followed log: a rotated one that was removed at once is still read to its end") {
  const Logs logs("a\n");
  Begun reader(logs, "a\n");
  logs.write("b\n");
  logs.remove("app.log");
  logs.write("c\n");
  CHECK(reader.reads("a\nb\n|c\n"));
  CHECK(reader.told.nothing());
}

TEST_CASE("followed log: one that was read and then compressed is not lost") {
  for (const bool keeps_time : {true, false}) {
    const Logs logs("a\n");
    Begun reader(logs, "a\n");
    logs.rotate();
    logs.compress("app.log.1", keeps_time);
    logs.write("b\n");
    CHECK(reader.reads("a\n|b\n"));
    CHECK(reader.told.nothing());
  }
}

TEST_CASE("followed log: one that was compressed between two looks is told as lost") {
  const Logs logs("a\n");
  Begun reader(logs, "a\n");
  usleep(10'000);  // a file is stamped with a clock that has some milliseconds' steps
  logs.rotate("lost\n");
  logs.rotate();
  logs.compress("app.log.1");
  logs.write("c\n");
  CHECK(reader.reads("a\n|c\n"));
  REQUIRE(reader.told.lost.size() == 1);
  CHECK(reader.told.lost[0].what == logs.path("app.log.1.gz") + " was compressed before it was read");
  CHECK(reader.told.lost[0].bytes == 5);
  CHECK(reader.told.lost[0].amount == LostBytes::Amount::at_least);
}

TEST_CASE("followed log: one that was compressed is not taken for the one before it, which had the same size") {
  const Logs logs("a\n");
  Begun reader(logs, "a\n");
  usleep(10'000);
  logs.rotate("b\n");
  usleep(10'000);
  logs.rotate("c\n");
  for (const char* name : {"app.log.2", "app.log.1"}) logs.compress(name);
  CHECK(reader.reads("a\n|c\n"));
  CHECK(reader.told.lost.size() == 1);
}

TEST_CASE("followed log: removed with those that followed it, that is told; compressed, it is not") {
  for (const bool is_removed : {true, false}) {
    const Logs logs("a\n");
    Begun reader(logs, "a\n");
    for (const char* line : {"b\n", "c\n"}) {
      usleep(10'000);
      logs.rotate();
      if (is_removed && logs.has("app.log.2")) logs.remove("app.log.2");
      logs.write(line);
    }
    usleep(10'000);
    logs.rotate();
    is_removed ? logs.remove("app.log.2") : logs.compress("app.log.3");
    logs.write("d\n");
    CHECK(reader.reads(is_removed ? "a\n|c\n|d\n" : "a\n|b\n|c\n|d\n"));
    CHECK(reader.told.lost.size() == (is_removed ? 1 : 0));
    for (const LostBytes& lost : reader.told.lost) {
      CHECK(lost.what == logs.path() + " was removed after it was rotated, and perhaps others that followed");
      CHECK(lost.amount == LostBytes::Amount::unknown);
    }
  }
}

TEST_CASE("followed log: copied and truncated after all was read, it is read from its start") {
  const Logs logs("a\n");
  Begun reader(logs, "a\n");
  logs.copy_and_truncate();
  CHECK(reader.reads("a\n|"));
  logs.write("b\n");
  CHECK(reader.reads("a\n|b\n"));
  CHECK(reader.told.nothing());
}

TEST_CASE("followed log: copied and truncated, the rest that was not read is in the copy") {
  const Logs logs("a\nb");
  Begun reader(logs, "a\n");
  logs.write("c\nd\n");
  logs.copy_and_truncate("e\n");
  CHECK(reader.reads("a\nbc\nd\n|e\n"));
  CHECK(reader.told.nothing());
  logs.write("f\n");
  logs.copy_and_truncate("g\n");
  CHECK(reader.reads("a\nbc\nd\n|e\nf\n|g\n"));
  CHECK(reader.told.nothing());
}

TEST_CASE("followed log: truncated and grown past our place is seen by its first bytes") {
  const Logs logs("a\n");
  Begun reader(logs, "a\n");
  logs.write("b\n");
  logs.copy_and_truncate("new and longer\n");
  CHECK(reader.reads("a\nb\n|new and longer\n"));
  CHECK(reader.told.nothing());
}

TEST_CASE("followed log: copied, truncated and filled again as it began, the rest is in the copy") {
  const Logs logs("a\n");
  Begun reader(logs, "a\n");
  usleep(10'000);
  logs.write("b\n");
  logs.copy_and_truncate("a\nc, and longer\n");
  CHECK(reader.reads("a\nb\n|a\nc, and longer\n"));
  CHECK(reader.told.nothing());
}

TEST_CASE("followed log: copied and not truncated, it is read on") {
  const Logs logs("a\n");
  Begun reader(logs, "a\n");
  usleep(10'000);
  logs.write("b\n");
  fs::copy_file(logs.path(), logs.path("app.log.old"));
  logs.write("c\n");
  CHECK(reader.reads("a\nb\nc\n"));
  CHECK(reader.told.nothing());
}

TEST_CASE("followed log: truncated without a copy, it is read from its start, and that is said") {
  const Logs logs("a\n");
  Begun reader(logs, "a\n");
  logs.truncate();
  CHECK(reader.reads("a\n|"));
  logs.write("b\n");
  CHECK(reader.reads("a\n|b\n"));
  CHECK(reader.told.lost.empty());
  REQUIRE(reader.told.notes.size() == 1);
  CHECK(reader.told.notes[0] == logs.path() + " was truncated; it is read from its start");
}

TEST_CASE("followed log: truncated without a copy, what was known of and not read is lost") {
  const Logs logs(std::string(kReadSize, '\n') + "1234");
  Reader reader(logs);
  REQUIRE(reader.log->begin(false) == 0);
  REQUIRE(reader.log->fill() == ByteInput::Got::some);
  logs.truncate();
  logs.write("b\n");
  CHECK(reader.reads(std::string(kReadSize, '\n') + "|b\n"));
  REQUIRE(reader.told.lost.size() == 1);
  CHECK(reader.told.lost[0].bytes == 4);
  CHECK(reader.told.lost[0].amount == LostBytes::Amount::at_least);
}

TEST_CASE("followed log: resumed in the same file, it goes on where it was") {
  const Logs logs("a\nb\n");
  LogPlace place = read_all(logs, "a\nb\n");
  logs.write("c\n");
  place.offset -= 2;
  Resumed reader(logs, place);
  CHECK(reader.log->place().offset == place.offset);
  CHECK(reader.reads("b\nc\n"));
  CHECK(reader.told.nothing());
}

TEST_CASE("followed log: resumed after rotations, it goes on in the old file and then in those that followed") {
  for (const int rotations : {1, 3, 12}) {
    const Logs logs("a\n");
    const LogPlace place = read_all(logs, "a\n");
    std::string expected = "rest\n";
    logs.write(expected);
    for (int i = 0; i < rotations; ++i) {
      logs.rotate(std::to_string(i) + "\n");
      expected += "|" + std::to_string(i) + "\n";
    }
    Resumed reader(logs, place);
    CHECK(reader.reads(expected));
    CHECK(reader.told.nothing());
  }
}

// KeptLines counts an LF for each line.
TEST_CASE("followed log: resumed behind a last line without LF, it goes on behind the file") {
  for (const bool is_copied : {false, true}) {
    const Logs logs("a\nb");
    LogPlace place = read_all(logs, "a\n");
    place.offset = 4;
    is_copied ? logs.copy_and_truncate("c\n") : logs.rotate("c\n");
    Resumed reader(logs, place);
    CHECK(reader.reads("|c\n"));
    CHECK(reader.told.nothing());
  }
}

TEST_CASE("followed log: resumed after rotations to dated names") {
  for (const std::string pattern : {"app.log-2026010", "app-2026010", "app.log.2026-01-0"}) {
    const std::string ending = pattern.starts_with("app-") ? ".log" : "";
    const Logs logs;
    logs.write("old\n", pattern + "0" + ending);
    logs.write("a\n");
    const LogPlace place = read_all(logs, "a\n");
    logs.rename("app.log", pattern + "1" + ending);
    logs.write("b\n", pattern + "2" + ending);
    logs.write("c\n", pattern + "3" + ending);
    logs.write("other\n", "app.log.errors");
    logs.write("d\n");
    Resumed reader(logs, place);
    CHECK(reader.reads("|b\n|c\n|d\n"));
    CHECK(reader.told.nothing());
  }
}

TEST_CASE("followed log: resumed, what is written late to the file before is read") {
  const Logs logs("a\n");
  LogPlace place;
  {
    Reader reader(logs);
    REQUIRE(reader.log->begin(false) == 0);
    logs.rotate("b\n");
    REQUIRE(reader.reads("a\n|b\n"));
    place = reader.log->place();
  }
  REQUIRE(place.previous.has_value());
  logs.write("late\n", "app.log.1");
  logs.write("c\n");
  Resumed reader(logs, place);
  CHECK(reader.reads("c\n|late\n|"));
}

TEST_CASE("followed log: resumed within late bytes, nothing of the newer file comes twice") {
  const Logs logs("a\n");
  LogPlace place;
  {
    Reader reader(logs);
    REQUIRE(reader.log->begin(false) == 0);
    logs.rotate("b\n");
    REQUIRE(reader.reads("a\n|b\n"));
    logs.write("one\ntwo\n", "app.log.1");
    while (reader.log->fill() != ByteInput::Got::boundary) {
    }
    REQUIRE(reader.log->fill() == ByteInput::Got::some);
    reader.log->consume(4);
    place = reader.log->place();
  }
  REQUIRE(place.next.has_value());
  Resumed reader(logs, place);
  CHECK(reader.reads("|two\n|"));
}

TEST_CASE("followed log: resumed after it was copied and truncated, it goes on in the copy") {
  const Logs logs("a\n");
  const LogPlace place = read_all(logs, "a\n");
  std::string expected = "rest\n";
  logs.write(expected);
  for (const std::string line : {"b, longer than what was\n", "c\n", "d\n"}) {
    logs.copy_and_truncate(line);
    expected += "|" + line;
  }
  Resumed reader(logs, place);
  CHECK(reader.reads(expected));
  CHECK(reader.told.nothing());
}

TEST_CASE("followed log: resumed after it was copied, truncated and filled again as it began, it goes on in the copy") {
  const Logs logs("head\n");
  const LogPlace place = read_all(logs, "head\n");
  usleep(10'000);
  std::string expected = "rest\n";
  logs.write(expected);
  for (const std::string line : {"head\nb\n", "head\nc, and longer\n"}) {
    logs.copy_and_truncate(line);
    expected += "|" + line;
  }
  Resumed reader(logs, place);
  CHECK(reader.reads(expected));
  CHECK(reader.told.nothing());
}

TEST_CASE("followed log: resumed, another file with the old one's inode is not taken for it") {
  const Logs logs("a\n");
  LogPlace place = read_all(logs, "a\n");
  logs.rename("app.log", "app.log.1");
  logs.write("another log, and a longer one\n");
  place.inode = PosixFiles().facts_of(logs.path())->inode;
  Resumed reader(logs, place);
  CHECK(reader.reads("|another log, and a longer one\n"));
  CHECK(reader.told.nothing());
}

TEST_CASE("followed log: resumed where it was empty, what was copied from it and truncated since comes first") {
  const Logs logs;
  logs.write("old\n", "app.log.1");
  usleep(10'000);
  logs.write("");
  const LogPlace place = read_all(logs, "");
  usleep(10'000);
  logs.write("late\n", "app.log.1");
  for (const char* line : {"a\n", "b\n"}) {
    logs.write(line);
    logs.copy_and_truncate();
  }
  logs.write("c\n");
  Resumed reader(logs, place);
  CHECK(reader.reads("a\n|b\n|c\n"));
  CHECK(reader.told.nothing());
}

TEST_CASE("followed log: resumed where it was filled just after it was seen empty, it is found again in the copy") {
  for (const std::string line : {"c\n", "c, longer than what was\n"}) {
    const Logs logs("");
    Reader reader(logs);
    REQUIRE(reader.log->begin(false) == 0);
    REQUIRE(reader.take() == ByteInput::Got::wait);
    const auto empty = fs::last_write_time(logs.path());
    logs.write("a\n");
    fs::last_write_time(logs.path(), empty);  // within one step of the file system's clock
    REQUIRE(reader.reads("a\n"));
    const LogPlace place = reader.counted_place();
    logs.write("b\n");
    logs.copy_and_truncate(line);
    Resumed resumed(logs, place);
    CHECK(resumed.reads("b\n|" + line));
    CHECK(resumed.told.nothing());
  }
}

TEST_CASE("followed log: resumed when it was read and compressed since, nothing is lost") {
  const Logs logs("a\n");
  const LogPlace place = read_all(logs, "a\n");
  logs.rotate();
  logs.compress("app.log.1");
  logs.write("b\n");
  Resumed reader(logs, place);
  CHECK(reader.reads("b\n"));
  CHECK(reader.told.nothing());
}

TEST_CASE("followed log: resumed when its rest was compressed, that is lost, and what is not compressed is read") {
  const Logs logs("a\n");
  const LogPlace place = read_all(logs, "a\n");
  for (const char* line : {"rest\n", "whole file\n", "b\n"}) {
    usleep(10'000);
    logs.write(line);
    logs.rotate();
  }
  logs.write("c\n");
  logs.compress("app.log.3");
  logs.compress("app.log.2");
  Resumed reader(logs, place);
  CHECK(reader.reads("b\n|c\n"));
  REQUIRE(reader.told.lost.size() == 2);
  CHECK(reader.told.lost[0].what == logs.path("app.log.3.gz") + " was compressed before it was read to its end");
  CHECK(reader.told.lost[0].bytes == 5);
  CHECK(reader.told.lost[1].what == logs.path("app.log.2.gz") + " was compressed before it was read");
  CHECK(reader.told.lost[1].bytes == 11);
}

TEST_CASE("followed log: resumed when the old file was removed, what was known of it is lost") {
  for (const bool is_read : {true, false}) {
    const Logs logs("a\nrest\n");
    LogPlace place = read_all(logs, "a\nrest\n");
    if (!is_read) place.offset = 2;
    logs.write("elsewhere\n", "app.log.errors");
    logs.remove("app.log");
    logs.write("b\n");
    Resumed reader(logs, place);
    CHECK(reader.reads("b\n"));
    REQUIRE(reader.told.lost.size() == 1);
    CHECK(reader.told.lost[0].what.starts_with(logs.path()));
    CHECK(reader.told.lost[0].bytes == (is_read ? 0 : 5));
    CHECK(reader.told.lost[0].amount == (is_read ? LostBytes::Amount::unknown : LostBytes::Amount::at_least));
  }
}

TEST_CASE("followed log: resumed before its directory is there, it is waited for, and nothing is lost or read again") {
  const Logs logs("a\n");
  const LogPlace place = read_all(logs, "a\n");
  logs.write("b\n");
  logs.rotate("c\n");
  fs::create_directory(logs.path("unmounted"));
  fs::create_directory(logs.path("mounted"));
  for (const char* name : {"app.log", "app.log.1"}) logs.rename(name, "mounted/" + std::string(name));
  Resumed reader(logs, place, "unmounted/app.log");
  CHECK(reader.reads(""));
  CHECK(reader.log->place() == place);
  fs::remove(logs.path("unmounted"));
  logs.rename("mounted", "unmounted");
  CHECK(reader.reads("b\n|c\n"));
  CHECK(reader.told.nothing());
}

TEST_CASE("followed log: resumed when it had been waited for, only what came since is read") {
  const Logs logs;
  logs.write("old\n", "app.log.1");
  usleep(10'000);
  Begun waiting(logs, "");
  const LogPlace place = waiting.log->place();
  usleep(10'000);
  logs.write("a\n");
  logs.rotate("b\n");
  Resumed reader(logs, place);
  CHECK(reader.reads("a\n|b\n"));
  CHECK(reader.told.nothing());
}

TEST_CASE("followed log: a symbolic link is followed to the log, its relatives, and to another log") {
  const Logs logs;
  fs::create_directory(logs.path("real"));
  fs::create_symlink("real/app.log", logs.path("link"));
  logs.write("a\n", "real/app.log");
  Reader reader(logs, "link");
  REQUIRE(reader.log->begin(false) == 0);
  CHECK(reader.reads("a\n"));
  logs.rename("real/app.log", "real/app.log.2");
  logs.write("b\n", "real/app.log.1");
  logs.write("c\n", "real/app.log");
  CHECK(reader.reads("a\n|b\n|c\n"));
  logs.remove("link");
  logs.write("d\n", "real/new.log");
  fs::create_symlink("real/new.log", logs.path("link"));
  CHECK(reader.reads("a\n|b\n|c\n|d\n"));
  CHECK(reader.told.nothing());
}

TEST_CASE("followed log: what can be no log is refused") {
  const Logs logs;
  fs::create_directory(logs.path("directory"));
  REQUIRE(mkfifo(logs.path("pipe").c_str(), 0600) == 0);
  CHECK(Reader(logs, "directory").log->begin(false) == EISDIR);
  CHECK(Reader(logs, "directory").log->resume({}) == EISDIR);
  CHECK(Reader(logs, "pipe").log->begin(false) == EOPNOTSUPP);
  CHECK(Reader(logs, "../../dev/null").log->begin(false) == EOPNOTSUPP);
}

TEST_CASE("followed log: one that cannot be read is refused at first, and later waited for") {
  if (::geteuid() == 0) return;  // root reads everything
  const Logs logs("a\n");
  Reader reader(logs);
  REQUIRE(reader.log->begin(false) == 0);
  logs.rotate("b\n");
  ::chmod(logs.path().c_str(), 0);
  CHECK(Reader(logs).log->begin(false) == EACCES);
  CHECK(reader.reads("a\n"));
  reader.run_for(60ms);
  CHECK(reader.told.notes.size() == 1);
  ::chmod(logs.path().c_str(), 0600);
  CHECK(reader.reads("a\n|b\n"));
  CHECK(reader.told.notes.size() == 1);

  const LogPlace place = reader.log->place();
  logs.write("c\n");
  ::chmod(logs.path().c_str(), 0);
  Resumed resumed(logs, place);
  CHECK(resumed.reads(""));
  CHECK(resumed.told.notes.size() == 1);
  ::chmod(logs.path().c_str(), 0600);
  CHECK(resumed.reads("c\n"));
  CHECK(resumed.told.lost.empty());
}

TEST_CASE("followed log: a directory in its place is told once, and the log waited for") {
  const Logs logs("a\n");
  Reader reader(logs);
  REQUIRE(reader.log->begin(false) == 0);
  logs.rename("app.log", "app.log.1");
  fs::create_directory(logs.path());
  CHECK(reader.reads("a\n"));
  reader.run_for(40ms);
  CHECK(reader.told.notes == std::vector<std::string>{logs.path() + ": Is a directory; it is tried again"});
  fs::remove(logs.path());
  logs.write("b\n");
  CHECK(reader.reads("a\n|b\n"));
}

TEST_CASE("followed log: its lines are messages, over boundaries and late bytes") {
  const Logs logs("a\nb");
  Told told;
  TestLoop loop;
  UvMachine machine(loop.get());
  auto input = std::make_unique<FollowedLog>(
      machine, logs.path(), [&] { uv_stop(loop.get()); }, told, kFast);
  REQUIRE(input->begin(false) == 0);
  LineSource source(logs.path(), std::move(input));
  std::vector<std::string> lines;
  const auto take_until = [&](std::size_t count) {
    for (const Instant end = now() + 5s; lines.size() < count && now() < end;) {
      const Piece piece = source.peek(1024);
      if (piece.kind == Piece::Kind::part) {
        REQUIRE(piece.is_last);
        lines.emplace_back(as_text(piece.bytes));
        source.take(piece.bytes.size(), true);
      } else {
        REQUIRE(piece.kind == Piece::Kind::wait);
        uv_run(loop.get(), UV_RUN_ONCE);
      }
    }
  };
  take_until(1);
  logs.rotate("c\nd");
  take_until(3);
  logs.write("late", "app.log.1");
  take_until(4);
  logs.write("d\n");
  take_until(5);
  CHECK(lines == std::vector<std::string>{"a", "b", "c", "late", "dd"});
  CHECK(source.peek(1024).kind == Piece::Kind::wait);
}

TEST_CASE("followed log: whatever happens to it and to its reader, each line is read once, and in order") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) check_random_life(seed, Rotated::by_rename);
  for (std::uint64_t seed = 1; seed <= 5; ++seed) check_random_life(seed, Rotated::by_copy);
}

TEST_CASE("followed log: whatever happens to it and to its reader, lines written late are read once, too") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) check_random_life(seed, Rotated::while_written);
}

TEST_CASE("followed log: rotated by somebody else at any moment, each line is read once, and in order") {
  for (const Rotated rotated : {Rotated::by_rename, Rotated::by_copy}) check_rotated_meanwhile(rotated);
}

TEST_CASE("followed log: a place is the same after it was stored") {
  LogPlace place;
  place.device = 1;
  place.inode = 2;
  place.fingerprint = {3, 4};
  place.offset = 5;
  place.size_seen = 6;
  place.modified_ns = -7;
  place.previous = place;
  CHECK(stored(place) == place);
  Bytes bytes;
  ByteWriter writer(bytes);
  put_place(writer, place);
  ByteReader cut(ByteView(bytes).first(bytes.size() - 2));
  (void)get_place(cut);
  CHECK(cut.failed());
}
