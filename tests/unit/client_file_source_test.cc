#include "client/file_source.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "client/uv_machine.h"
#include "tests/support/temporary_folder.h"

using namespace cproto;
using namespace cproto::client;
using namespace cproto::test;

namespace {

Bytes some_bytes(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  return bytes;
}

// Files in a folder, and a source of them with a loop of its own.
class Rig {
 public:
  Rig() { uv_loop_init(&loop_); }
  ~Rig() {
    source.reset();
    uv_run(&loop_, UV_RUN_DEFAULT);
    uv_loop_close(&loop_);
  }

  std::string put(const std::string& name, const Bytes& bytes) {
    const std::string path = folder.path() + "/" + name;
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<long>(bytes.size()));
    return path;
  }
  void open(const std::vector<std::string>& paths) {
    source.reset();
    std::vector<FileSource::File> files;
    for (const std::string& path : paths) files.push_back({path, base_name(path)});
    source.emplace(machine_, files, [] {});
  }
  // The next piece that is not a wait.
  Piece peek() {
    Piece piece = source->peek(1024);
    for (int i = 0; i < 1000 && piece.kind == Piece::Kind::wait; ++i) {
      uv_run(&loop_, UV_RUN_ONCE);
      piece = source->peek(1024);
    }
    return piece;
  }
  // Takes `bytes` of content.
  Bytes take_content(std::size_t bytes) {
    Bytes taken;
    while (taken.size() < bytes) {
      const Piece piece = peek();
      REQUIRE(piece.kind == Piece::Kind::part);
      REQUIRE_FALSE(piece.bytes.empty());
      const ByteView part = piece.bytes.first(std::min(piece.bytes.size(), bytes - taken.size()));
      append(taken, part);
      source->take(part.size(), part.size() == piece.bytes.size());
      if (auto place = source->take_bookmark()) mark = {0, 0, *place};
    }
    return taken;
  }
  Piece take(Piece::Kind kind) {
    Piece piece = peek();
    REQUIRE(piece.kind == kind);
    source->take(piece.bytes.size(), true);
    if (auto place = source->take_bookmark()) mark = {0, 0, *place};
    return piece;
  }

  TemporaryFolder folder;
  std::optional<FileSource> source;
  Bookmark mark;

 private:
  uv_loop_t loop_;
  UvMachine machine_{&loop_};
};

Digest digest_of(const Bytes& bytes) {
  FileDigest digest;
  digest.update(bytes);
  return digest.value();
}

}  // namespace

TEST_CASE("files to send: a header, the bytes, their digest, and an end") {
  Rig rig;
  const Bytes content = some_bytes(3'000'000);
  const std::string path = rig.put("a", content);
  REQUIRE(::chmod(path.c_str(), 0640) == 0);
  rig.open({path});
  const Piece header = rig.take(Piece::Kind::header);
  CHECK(header.header.file.name == "a");
  CHECK(header.header.file.size == content.size());
  CHECK(header.header.file.mode == 0640);
  CHECK(header.header.file.mtime);
  CHECK(rig.take_content(content.size()) == content);
  CHECK(rig.take(Piece::Kind::digest).digest == digest_of(content));
  const Piece last = rig.take(Piece::Kind::part);
  CHECK(last.is_last);
  CHECK(last.bytes.empty());
  CHECK(rig.peek().kind == Piece::Kind::end);
}

TEST_CASE("files to send: an empty file has a header, a digest and an end") {
  Rig rig;
  rig.open({rig.put("empty", {})});
  rig.take(Piece::Kind::header);
  CHECK(rig.take(Piece::Kind::digest).digest == Digest{});
  CHECK(rig.take(Piece::Kind::part).is_last);
}

TEST_CASE("files to send: what is no file is named, and the others go on") {
  Rig rig;
  const std::string good = rig.put("good", some_bytes(10));
  rig.open({rig.folder.path(), "/dev/null", rig.folder.path() + "/none", good});
  for (const char* what : {"is a folder", "is a device", "No such file"}) {
    const Piece piece = rig.peek();
    CHECK(piece.kind == Piece::Kind::broken);
    CHECK(piece.problem.status == Status::no_input);
    CHECK(piece.problem.sentence.find(what) != std::string::npos);
    rig.source->skip();
  }
  CHECK(rig.take(Piece::Kind::header).header.file.name == "good");
}

TEST_CASE("files to send: one that changes while it is sent is given up") {
  Rig rig;
  const Bytes content = some_bytes(5'000'000);
  const std::string path = rig.put("a", content);
  rig.open({path});
  rig.take(Piece::Kind::header);
  SUBCASE("shorter") {
    rig.take_content(100'000);
    REQUIRE(::truncate(path.c_str(), 200'000) == 0);
    Piece piece = rig.peek();
    while (piece.kind == Piece::Kind::part) {
      rig.source->take(piece.bytes.size(), true);
      piece = rig.peek();
    }
    CHECK(piece.kind == Piece::Kind::broken);
    CHECK(piece.problem.status == Status::data_error);
  }
  SUBCASE("longer") {
    rig.take_content(content.size());
    std::ofstream(path, std::ios::app) << "more";
    const Piece piece = rig.peek();
    CHECK(piece.kind == Piece::Kind::broken);
    CHECK(piece.problem.sentence.find("changed while it was sent") != std::string::npos);
  }
}

TEST_CASE("files to send: a large one goes on in its middle, from what was remembered") {
  Rig rig;
  const Bytes content = some_bytes(11'000'000);
  const std::string path = rig.put("a", content);
  rig.open({path});
  rig.take(Piece::Kind::header);
  rig.take_content(9'500'000);
  rig.open({path});
  const auto resumed = rig.source->resume(rig.mark, {0, 0, 9'000'001});
  CHECK(resumed.messages == 0);
  CHECK(resumed.sentence.find("continuing") == 0);
  CHECK(rig.take_content(content.size() - 9'000'001) == Bytes(content.begin() + 9'000'001, content.end()));
  CHECK(rig.take(Piece::Kind::digest).digest == digest_of(content));
}

TEST_CASE("files to send: one that changed since is sent from its beginning, and that is said") {
  Rig rig;
  const std::string path = rig.put("a", some_bytes(9'000'000));
  rig.open({path});
  rig.take(Piece::Kind::header);
  rig.take_content(8'000'000);
  rig.put("a", some_bytes(9'000'001));
  rig.open({path});
  rig.source->resume(rig.mark, {0, 0, 7'000'000});
  const Piece piece = rig.take(Piece::Kind::restart);
  CHECK(piece.problem.sentence.find("changed since") != std::string::npos);
  CHECK(rig.take(Piece::Kind::header).header.file.size == 9'000'001);
}

TEST_CASE("files to send: behind whole files the next one is begun, whatever the last bookmark was") {
  Rig rig;
  const std::vector<std::string> paths = {rig.put("a", some_bytes(10)), rig.put("b", some_bytes(10)), rig.put("c", {})};
  rig.open(paths);
  const auto resumed = rig.source->resume({}, {2, 99, {}});
  CHECK(resumed.messages == 2);
  CHECK(rig.take(Piece::Kind::header).header.file.name == "c");
}

TEST_CASE("files to send: one that was to be sent anew and is left out is not sent anew") {
  Rig rig;
  rig.open({rig.put("a", some_bytes(10)), rig.put("b", some_bytes(5))});
  rig.source->resume({}, {0, 0, 7});
  rig.source->skip();
  CHECK(rig.take(Piece::Kind::header).header.file.name == "b");
}

TEST_CASE("files to send: behind one that was left out the bookmark says which is next") {
  Rig rig;
  const std::vector<std::string> paths = {rig.folder.path() + "/none", rig.put("b", some_bytes(10)), rig.put("c", {})};
  rig.open(paths);
  REQUIRE(rig.peek().kind == Piece::Kind::broken);
  rig.source->skip();
  const auto place = rig.source->take_bookmark();
  REQUIRE(place);
  rig.open(paths);
  CHECK(rig.source->resume({0, 0, *place}, {1, 99, {}}).messages == 2);
  CHECK(rig.take(Piece::Kind::header).header.file.name == "c");
}

TEST_CASE("files to send: a pipe is read to its end, and has no size") {
  Rig rig;
  const std::string path = rig.folder.path() + "/pipe";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  rig.open({path});
  const Piece header = rig.take(Piece::Kind::header);
  CHECK_FALSE(header.header.file.size);
  std::ofstream writer(path);
  writer << "through a pipe" << std::flush;
  CHECK(as_text(rig.take_content(14)) == "through a pipe");
  writer.close();
  CHECK(rig.take(Piece::Kind::digest).digest ==
        digest_of(Bytes(as_bytes("through a pipe").begin(), as_bytes("through a pipe").end())));
}
