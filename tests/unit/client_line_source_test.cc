#include "client/line_source.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "client/input.h"

using namespace cproto;
using namespace cproto::client;

namespace {

class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view content) {
    const int fd = mkstemp(path_.data());
    REQUIRE(fd >= 0);
    close(fd);
    std::ofstream(path_, std::ios::binary) << content;
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = std::filesystem::temp_directory_path() / "cproto-test-XXXXXX";
};

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

LineSource open_lines(
    TestLoop& loop, const std::string& path, std::function<void()> wake = [] {}) {
  auto input = std::make_unique<Input>(loop.get(), std::move(wake));
  REQUIRE(input->open(path) == 0);
  return {path, std::move(input)};
}

// What a shipper would make of it: whole messages, and how many pieces they came in.
struct Taken {
  std::vector<std::string> messages;
  std::size_t pieces = 0;
  std::string begun;
  Piece::Kind stopped_at = Piece::Kind::part;
};

// Takes until there is nothing, at most `bytes_max` of a piece at a time.
Taken take_all(Source& source, std::size_t packet_size, std::size_t bytes_max = SIZE_MAX) {
  Taken taken;
  while (true) {
    const Piece piece = source.peek(packet_size);
    if (piece.kind != Piece::Kind::part) {
      taken.stopped_at = piece.kind;
      return taken;
    }
    if (!piece.is_last) CHECK(piece.bytes.size() % packet_size == 0);
    const std::size_t size = std::min(piece.bytes.size(), bytes_max);
    const bool is_complete = size == piece.bytes.size();
    taken.begun += as_text(piece.bytes.first(size));
    ++taken.pieces;
    source.take(size, is_complete);
    if (is_complete && piece.is_last) taken.messages.push_back(std::exchange(taken.begun, {}));
  }
}

Taken lines_of(std::string_view content, std::size_t packet_size = 64 * 1024, std::size_t bytes_max = SIZE_MAX) {
  const TemporaryFile file(content);
  TestLoop loop;
  LineSource source = open_lines(loop, file.path());
  Taken taken = take_all(source, packet_size, bytes_max);
  CHECK(taken.stopped_at == Piece::Kind::end);
  CHECK(taken.begun.empty());
  return taken;
}

using Lines = std::vector<std::string>;

// Files one after the other, read a few bytes at a time.
class FilesInput final : public ByteInput {
 public:
  FilesInput(Lines files, std::size_t step) : files_(std::move(files)), step_(step) {}

  Got fill() override {
    if (!files_.front().empty()) {
      append(data_, as_bytes(files_.front().substr(0, step_)));
      files_.front().erase(0, step_);
      return Got::some;
    }
    if (files_.size() == 1) return Got::end;
    if (std::exchange(is_at_boundary_, true) && data().empty()) {
      is_at_boundary_ = false;
      files_.erase(files_.begin());
      return fill();
    }
    return Got::boundary;
  }
  ByteView data() const override { return ByteView(data_).subspan(head_); }
  void consume(std::size_t bytes) override { head_ += bytes; }
  int error() const override { return 0; }
  bool is_stream() const override { return false; }
  bool has_writer() const override { return false; }

 private:
  Lines files_;
  std::size_t step_;
  Bytes data_;
  std::size_t head_ = 0;
  bool is_at_boundary_ = false;
};

}  // namespace

TEST_CASE("lines: cut at LF, and a last line without LF counts") {
  CHECK(lines_of("").messages == Lines{});
  CHECK(lines_of("\n").messages == Lines{""});
  CHECK(lines_of("a").messages == Lines{"a"});
  CHECK(lines_of("a\n").messages == Lines{"a"});
  CHECK(lines_of("a\nb").messages == Lines{"a", "b"});
  CHECK(lines_of("\n\na\n\n").messages == Lines{"", "", "a", ""});
}

TEST_CASE("lines: every other byte stays") {
  const std::string odd("a\r\0\xff\xc3\x1b\x7f z", 9);
  CHECK(lines_of(odd + "\n" + odd).messages == Lines{odd, odd});
}

TEST_CASE("lines: the same whatever the packet, the read and the room are") {
  std::string content;
  Lines expected;
  for (std::size_t i = 0; content.size() < 3 * kReadSize; ++i) {
    expected.emplace_back(i % 7 == 0 ? i * 131 % 5000 : i % 100, static_cast<char>('a' + i % 26));
    content += expected.back() + "\n";
  }
  for (const std::size_t packet_size : {64u, 1000u, 65536u, 1u << 20})
    CHECK(lines_of(content, packet_size).messages == expected);
  for (const std::size_t room : {1u, 63u, 64u, 65u}) CHECK(lines_of(content, 64, room).messages == expected);
}

TEST_CASE("lines: an LF at every place around the end of a read") {
  for (std::size_t size = kReadSize - 2; size <= kReadSize + 2; ++size) {
    const std::string line(size, 'x');
    CHECK(lines_of(line + "\nend\n").messages == Lines{line, "end"});
    CHECK(lines_of(line).messages == Lines{line});
  }
}

TEST_CASE("lines: a long one goes on in pieces as it is read, and its end may be an empty one") {
  const std::string line(4 * kReadSize, 'x');
  const Taken taken = lines_of(line + "\n", 1024);
  CHECK(taken.messages == Lines{line});
  CHECK(taken.pieces >= 4);
  CHECK(lines_of(line, 1024).messages == Lines{line});
}

TEST_CASE("lines: what is skipped ends at its LF, wherever that is") {
  for (const std::size_t size : {0ul, 10ul, 2000ul, 3 * kReadSize}) {
    const TemporaryFile file("before\n" + std::string(size, 'x') + "\nafter");
    TestLoop loop;
    LineSource source = open_lines(loop, file.path());
    const Piece before = source.peek(1024);
    source.take(before.bytes.size(), true);
    (void)source.peek(1024);
    source.skip();
    CHECK(take_all(source, 1024).messages == Lines{"after"});
  }
}

TEST_CASE("lines: skipping a begun line that has no LF ends with the file") {
  const TemporaryFile file(std::string(5000, 'x'));
  TestLoop loop;
  LineSource source = open_lines(loop, file.path());
  source.take(source.peek(1024).bytes.size(), true);
  source.skip();
  CHECK(source.peek(1024).kind == Piece::Kind::end);
}

TEST_CASE("lines: one from a pipe is there as soon as it was written, and the loop is never held") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const std::string path = "/dev/fd/" + std::to_string(ends[0]);
  TestLoop loop;
  int woken = 0;
  {
    LineSource source = open_lines(loop, path, [&] { ++woken; });
    CHECK(source.is_lost_by_giving_up());
    CHECK(source.holds_writer());
    CHECK(take_all(source, 1024).stopped_at == Piece::Kind::wait);
    REQUIRE(write(ends[1], "one\ntw", 6) == 6);
    uv_run(loop.get(), UV_RUN_ONCE);
    CHECK(woken == 1);
    Taken taken = take_all(source, 1024);
    CHECK(taken.messages == Lines{"one"});
    CHECK(taken.stopped_at == Piece::Kind::wait);
    REQUIRE(write(ends[1], "o", 1) == 1);
    close(ends[1]);
    uv_run(loop.get(), UV_RUN_ONCE);
    taken = take_all(source, 1024);
    if (taken.stopped_at == Piece::Kind::wait) {
      uv_run(loop.get(), UV_RUN_ONCE);
      taken = take_all(source, 1024);
    }
    CHECK(taken.messages == Lines{"two"});
    CHECK(taken.stopped_at == Piece::Kind::end);
  }
  close(ends[0]);
}

TEST_CASE("lines: the flags of a shared pipe stay as they are") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const int flags = fcntl(ends[0], F_GETFL);
  const int saved = dup(STDIN_FILENO);
  REQUIRE(dup2(ends[0], STDIN_FILENO) >= 0);
  TestLoop loop;
  {
    LineSource source = open_lines(loop, "-");
    CHECK(source.peek(1024).kind == Piece::Kind::wait);
    CHECK(fcntl(ends[0], F_GETFL) == flags);
  }
  if (saved >= 0) {
    dup2(saved, STDIN_FILENO);
    close(saved);
  }
  close(ends[0]);
  close(ends[1]);
}

TEST_CASE("lines: told to stop, a pipe gives what was read of it, a file nothing more") {
  const TemporaryFile file("a\nb\nc\n");
  TestLoop loop;
  LineSource from_file = open_lines(loop, file.path());
  from_file.take(from_file.peek(1024).bytes.size(), true);
  from_file.stop();
  CHECK(from_file.is_drained());
  CHECK(from_file.peek(1024).kind == Piece::Kind::end);

  int ends[2];
  REQUIRE(pipe(ends) == 0);
  REQUIRE(write(ends[1], "a\nb\npart", 8) == 8);
  {
    LineSource from_pipe = open_lines(loop, "/dev/fd/" + std::to_string(ends[0]));
    CHECK(from_pipe.peek(1024).kind == Piece::Kind::wait);
    uv_run(loop.get(), UV_RUN_ONCE);
    from_pipe.take(from_pipe.peek(1024).bytes.size(), true);
    from_pipe.stop();
    CHECK_FALSE(from_pipe.is_drained());
    CHECK(take_all(from_pipe, 1024).messages == Lines{"b", "part"});
    CHECK(from_pipe.is_drained());
  }
  close(ends[0]);
  close(ends[1]);
}

TEST_CASE("lines: what cannot be read says so") {
  TestLoop loop;
  Input missing(loop.get(), [] {});
  CHECK(missing.open("/nonexistent/file") == ENOENT);
  Input directory(loop.get(), [] {});
  CHECK(directory.open("/") == EISDIR);
  const Problem problem = cannot_read("/nonexistent/file", ENOENT, false);
  CHECK(problem.status == Status::no_input);
  CHECK(problem.sentence == "/nonexistent/file: No such file or directory");
  CHECK(cannot_read("-", EIO, true).status == Status::io_error);
}

TEST_CASE("lines: where one file ends and another follows, a last line without LF counts") {
  for (const std::size_t step : {1u, 3u, 100u}) {
    for (const std::size_t bytes_max : {1ul, 2ul, SIZE_MAX}) {
      LineSource source("log", std::make_unique<FilesInput>(Lines{"a\nbcdefg", "", "h\n", "\nijkl", "mn"}, step));
      const Taken taken = take_all(source, 2, bytes_max);
      CHECK(taken.messages == Lines{"a", "bcdefg", "h", "", "ijkl", "mn"});
      CHECK(taken.stopped_at == Piece::Kind::end);
    }
  }
}

TEST_CASE("lines: the last piece before a boundary is given again until it is taken") {
  LineSource source("log", std::make_unique<FilesInput>(Lines{"abcd", "e"}, 100));
  source.take(source.peek(4).bytes.size(), true);
  for (int i = 0; i < 3; ++i) {
    const Piece piece = source.peek(4);
    CHECK(piece.bytes.empty());
    CHECK(piece.is_last);
  }
  source.take(0, true);
  CHECK(take_all(source, 4).messages == Lines{"e"});
}

TEST_CASE("lines: what is skipped ends where its file does") {
  LineSource source("log", std::make_unique<FilesInput>(Lines{"abcdefgh", "i\n"}, 2));
  source.take(source.peek(2).bytes.size(), true);
  source.skip();
  CHECK(take_all(source, 2).messages == Lines{"i"});
}
