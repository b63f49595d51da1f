#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "client/binary_source.h"
#include "client/text_source.h"
#include "client/uv_machine.h"

using namespace cproto;
using namespace cproto::client;

namespace {

// "part:BYTES", "last:BYTES" with sizes for bytes, "broken:STATUS", "end".
std::string next(Source& source, std::size_t packet_size) {
  const Piece piece = source.peek(packet_size);
  switch (piece.kind) {
    case Piece::Kind::wait: return "wait";
    case Piece::Kind::end: return "end";
    case Piece::Kind::broken: source.skip(); return "broken:" + std::to_string(static_cast<int>(piece.problem.status));
    case Piece::Kind::header: source.take(0, false); return "header:" + piece.header.file.name;
    case Piece::Kind::digest: source.take(0, false); return "digest";
    case Piece::Kind::restart: source.take(0, false); return "restart";
    case Piece::Kind::part: break;
  }
  const std::string text = (piece.is_last ? "last:" : "part:") + std::to_string(piece.bytes.size());
  source.take(piece.bytes.size(), true);
  return text;
}

class TemporaryFolder {
 public:
  TemporaryFolder() { REQUIRE(mkdtemp(path_.data()) != nullptr); }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::string file(const std::string& name, std::size_t size) const {
    std::ofstream(path_ + "/" + name, std::ios::binary) << std::string(size, 'x');
    return path_ + "/" + name;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = std::filesystem::temp_directory_path() / "cproto-test-XXXXXX";
};

}  // namespace

TEST_CASE("texts: each is a message, the empty one, too") {
  TextSource source({"abc", "", "d"});
  CHECK(source.total() == 3);
  CHECK(next(source, 64) == "last:3");
  CHECK(next(source, 64) == "last:0");
  CHECK(next(source, 64) == "last:1");
  CHECK(next(source, 64) == "end");
  CHECK(source.is_drained());
}

TEST_CASE("texts: one that is taken in parts goes on where it was, and is finished when told to stop") {
  TextSource source({"abcdef", "never"});
  source.take(source.peek(64).bytes.first(2).size(), false);
  source.stop();
  CHECK(as_text(source.peek(64).bytes) == "cdef");
  CHECK(next(source, 64) == "last:4");
  CHECK(next(source, 64) == "end");
  CHECK(source.total() == 2);
}

TEST_CASE("binary files: each is a message, in packets as it is read") {
  const TemporaryFolder folder;
  uv_loop_t loop;
  uv_loop_init(&loop);
  UvMachine machine(&loop);
  {
    BinarySource source(
        machine,
        {folder.file("empty", 0), folder.file("small", 10), folder.file("exact", 128), folder.file("more", 130)},
        [] {});
    for (const char* expected : {"last:0", "last:10", "part:128", "last:0", "part:128", "last:2", "end"})
      CHECK(next(source, 64) == expected);
  }
  CHECK(uv_loop_close(&loop) == 0);
}

TEST_CASE("binary files: one that is missing or no file is named, and the others go on") {
  const TemporaryFolder folder;
  uv_loop_t loop;
  uv_loop_init(&loop);
  UvMachine machine(&loop);
  {
    BinarySource source(machine, {folder.path() + "/missing", folder.file("a", 1), folder.path(), folder.file("b", 2)},
                        [] {});
    for (const char* expected : {"broken:66", "last:1", "broken:66", "last:2", "end"})
      CHECK(next(source, 64) == expected);
    CHECK(source.name(1) == folder.path() + "/missing");
    CHECK(source.total() == 4);
  }
  CHECK(uv_loop_close(&loop) == 0);
}

TEST_CASE("binary files: one that is not wanted makes room for the next") {
  const TemporaryFolder folder;
  uv_loop_t loop;
  uv_loop_init(&loop);
  UvMachine machine(&loop);
  {
    BinarySource source(machine, {folder.file("large", 1000), folder.file("b", 2)}, [] {});
    CHECK(next(source, 64) == "part:960");
    source.skip();
    CHECK(next(source, 64) == "last:2");
    CHECK(next(source, 64) == "end");
  }
  CHECK(uv_loop_close(&loop) == 0);
}
