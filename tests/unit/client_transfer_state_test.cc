#include "client/transfer_state.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "client/bookmarks.h"
#include "client/posix_files.h"
#include "tests/support/memory_files.h"
#include "tests/support/temporary_folder.h"

using namespace cproto;
using namespace cproto::client;
using namespace cproto::test;

namespace {

PosixFiles disk_files;

SavedTransfer a_transfer(std::uint64_t attempt) {
  SavedTransfer transfer;
  Syn::Resume session;
  session.session.fill(1);
  session.store.fill(2);
  session.acknowledged = {70'000};
  session.acknowledged_bytes = 1u << 30;
  session.acknowledged_messages = 60'000;
  transfer.session = session;
  transfer.attempt = attempt;
  transfer.refusals_heard = {5};
  transfer.client_id = "web-1";
  transfer.bookmarks = {{1, 2, {3}}, {4, 5, {}}};
  transfer.problems = {{Status::no_input, "nope: No such file or directory"}};
  return transfer;
}

std::optional<SavedTransfer> load(TransferState& state) {
  std::optional<SavedTransfer> saved;
  CHECK(state.load(saved) == 0);
  return saved;
}

}  // namespace

TEST_CASE("transfer state: is read as it was written, by the next run") {
  TemporaryFolder folder;
  {
    TransferState state(disk_files);
    REQUIRE(state.open(folder.path() + "/a/b", "x") == 0);
    CHECK_FALSE(load(state));
    CHECK(state.save(a_transfer(1), true) == 0);
    CHECK(state.save(a_transfer(2), false) == 0);
  }
  TransferState state(disk_files);
  REQUIRE(state.open(folder.path() + "/a/b", "x") == 0);
  const auto read = load(state);
  REQUIRE(read);
  CHECK(read->attempt == 2);
  CHECK(encode(*read) == encode(a_transfer(2)));
}

TEST_CASE("transfer state: there may be a place and no session yet") {
  SavedTransfer transfer = a_transfer(1);
  transfer.session.reset();
  const auto read = decode_saved_transfer(encode(transfer));
  REQUIRE(read);
  CHECK_FALSE(read->session);
  CHECK(read->bookmarks.size() == 2);
}

TEST_CASE("transfer state: what must last is there behind a power cut, in a folder that was made for it") {
  MemoryFiles files(1, [] { return std::int64_t{1}; });
  {
    TransferState state(files);
    REQUIRE(state.open("/home/me/state", "x") == 0);
    CHECK(state.save(a_transfer(1), true) == 0);
  }
  files.disk.cut_power(Loss::everything);
  TransferState next(files);
  REQUIRE(next.open("/home/me/state", "x") == 0);
  CHECK(load(next));
}

TEST_CASE(
    "transfer state: what must last is there behind a power cut, also if the run that made its folder died at it") {
  bool is_through = false;
  for (std::uint64_t operations = 0; !is_through; ++operations) {
    CAPTURE(operations);
    MemoryFiles files(operations, [] { return std::int64_t{1}; });
    files.disk.crash_after(operations);
    try {
      TransferState dies(files);
      REQUIRE(dies.open("/home/me/state", "x") == 0);
      CHECK(dies.save(a_transfer(1), true) == 0);
      is_through = true;
    } catch (const ProcessDied&) {
    }
    files.disk.kill_process();
    {
      TransferState state(files);
      REQUIRE(state.open("/home/me/state", "x") == 0);
      (void)load(state);
      CHECK(state.save(a_transfer(2), true) == 0);
    }
    files.disk.cut_power(Loss::everything);
    TransferState next(files);
    REQUIRE(next.open("/home/me/state", "x") == 0);
    const auto read = load(next);
    REQUIRE(read);
    CHECK(read->attempt == 2);
  }
}

TEST_CASE("transfer state: of what need not last a power cut may take all, but not what was to last before") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    MemoryFiles files(seed, [] { return std::int64_t{1}; });
    for (std::uint64_t run = 0; run < 3; ++run) {
      TransferState state(files);
      REQUIRE(state.open("/home/me/state", "x") == 0);
      REQUIRE(load(state).has_value() == (run > 0));
      SavedTransfer transfer = a_transfer(10 * run);
      for (int i = 0; i < 60; ++i) transfer.bookmarks.push_back({5, 6, Bytes(100)});
      if (run == 0) CHECK(state.save(transfer, true) == 0);
      for (transfer.attempt = 10 * run + 1; transfer.attempt < 10 * run + 4; ++transfer.attempt)
        CHECK(state.save(transfer, false) == 0);
      if (run > 0) files.disk.cut_power();
    }
    TransferState state(files);
    REQUIRE(state.open("/home/me/state", "x") == 0);
    const auto read = load(state);
    REQUIRE(read);
    CHECK(read->attempt >= 3);
  }
}

TEST_CASE("transfer state: what is over does not come back with a power cut") {
  MemoryFiles files(1, [] { return std::int64_t{1}; });
  TransferState state(files);
  REQUIRE(state.open("/home/me/state", "x") == 0);
  CHECK(state.save(a_transfer(1), true) == 0);
  CHECK(state.remove() == 0);
  files.disk.cut_power(Loss::everything);
  CHECK_FALSE(files.disk.exists("/home/me/state/x"));
}

TEST_CASE("transfer state: an entry is gone on with on a disk that has no room for who has it") {
  MemoryFiles files(1, [] { return std::int64_t{1}; });
  {
    TransferState state(files);
    REQUIRE(state.open("/state", "x") == 0);
    CHECK(state.save(a_transfer(1), true) == 0);
  }
  files.disk.fault = [](const FileOp& op, const std::string&) { return op.kind == FileOp::Kind::write ? ENOSPC : 0; };
  TransferState state(files);
  REQUIRE(state.open("/state", "x") == 0);
  CHECK(load(state));
  CHECK(state.keep() == ENOSPC);
}

TEST_CASE("transfer state: an entry that cannot be written can be read") {
  MemoryFiles files(1, [] { return std::int64_t{1}; });
  {
    TransferState state(files);
    REQUIRE(state.open("/state", "x") == 0);
    CHECK(state.save(a_transfer(1), true) == 0);
  }
  files.disk.fault = [](const FileOp& op, const std::string&) {
    return op.kind == FileOp::Kind::open_or_create ? EROFS : 0;
  };
  TransferState state(files);
  CHECK(state.open("/state", "x") == EROFS);
  CHECK(load(state));
  CHECK(state.save(a_transfer(2), false) == EROFS);
  TransferState other(files);
  CHECK(other.open("/state", "y") == EROFS);
  CHECK_FALSE(other.is_open());
}

TEST_CASE("transfer state: an entry that cannot be read is no entry that is not there") {
  MemoryFiles files(1, [] { return std::int64_t{1}; });
  {
    TransferState state(files);
    REQUIRE(state.open("/state", "x") == 0);
    CHECK(state.save(a_transfer(1), true) == 0);
  }
  FileOp::Kind failing = FileOp::Kind::read;
  files.disk.fault = [&](const FileOp& op, const std::string&) { return op.kind == failing ? EIO : 0; };
  std::optional<SavedTransfer> saved;
  TransferState state(files);
  REQUIRE(state.open("/state", "x") == 0);
  CHECK(state.load(saved) == EIO);
  CHECK_FALSE(saved);
  state.close();
  SUBCASE("its facts") { failing = FileOp::Kind::status; }
  SUBCASE("the facts of its name") { failing = FileOp::Kind::status_of_path; }
  CHECK(state.open("/state", "x") == (failing == FileOp::Kind::read ? 0 : EIO));
}

TEST_CASE("transfer state: what a failed sync left in memory only is on the disk before it is gone on with") {
  MemoryFiles files(1, [] { return std::int64_t{1}; });
  {
    TransferState state(files);
    REQUIRE(state.open("/state", "x") == 0);
    files.disk.fault = [](const FileOp& op, const std::string&) { return op.kind == FileOp::Kind::sync_all ? EIO : 0; };
    CHECK(state.save(a_transfer(1), true) == EIO);
    files.disk.fault = nullptr;
  }
  {
    TransferState state(files);
    REQUIRE(state.open("/state", "x") == 0);
    REQUIRE(load(state));
    CHECK(state.keep() == 0);
  }
  files.disk.cut_power(Loss::everything);
  TransferState state(files);
  REQUIRE(state.open("/state", "x") == 0);
  CHECK(load(state));
}

TEST_CASE("transfer state: what cannot be removed is there, and open; what may come back with a power cut is not") {
  using Kind = FileOp::Kind;
  Kind failing = Kind::remove;
  MemoryFiles files(1, [] { return std::int64_t{1}; });
  files.disk.fault = [&](const FileOp& op, const std::string&) { return op.kind == failing ? EIO : 0; };
  TransferState state(files);
  REQUIRE(state.open("/state", "x") == 0);
  CHECK(state.remove() == EIO);
  CHECK(state.is_open());
  failing = Kind::sync_directory;
  CHECK(state.remove() == EIO);
  CHECK_FALSE(state.is_open());
}

TEST_CASE("transfer state: that the entry is there is synced until it has been once, and no more") {
  MemoryFiles files(1, [] { return std::int64_t{1}; });
  {
    TransferState state(files);
    REQUIRE(state.open("/state", "x") == 0);
    int syncs = 0;
    bool is_broken = true;
    files.disk.fault = [&](const FileOp& op, const std::string&) {
      if (op.kind != FileOp::Kind::sync_directory) return 0;
      ++syncs;
      return is_broken ? EIO : 0;
    };
    CHECK(state.save(a_transfer(1), true) == EIO);
    is_broken = false;
    CHECK(state.save(a_transfer(2), true) == 0);
    CHECK(state.save(a_transfer(3), true) == 0);
    CHECK(syncs == 2);
    files.disk.fault = nullptr;
  }
  files.disk.cut_power(Loss::everything);
  TransferState state(files);
  REQUIRE(state.open("/state", "x") == 0);
  CHECK(load(state));
}

TEST_CASE("transfer state: when the last write is torn the one before counts") {
  TemporaryFolder folder;
  {
    TransferState state(disk_files);
    REQUIRE(state.open(folder.path(), "x") == 0);
    CHECK(state.save(a_transfer(1), true) == 0);
    CHECK(state.save(a_transfer(2), false) == 0);
  }
  std::fstream file(folder.path() + "/x", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(60);  // in slot 0, which has generation 2
  file.put('?');
  file.close();
  TransferState state(disk_files);
  REQUIRE(state.open(folder.path(), "x") == 0);
  REQUIRE(load(state));
  CHECK(state.save(a_transfer(3), false) == 0);
}

TEST_CASE("transfer state: a second run hears who has it") {
  TemporaryFolder folder;
  TransferState first(disk_files);
  REQUIRE(first.open(folder.path(), "x") == 0);
  TransferState second(disk_files);
  CHECK(second.open(folder.path(), "x") == EWOULDBLOCK);
  CHECK(second.holder() == ::getpid());
}

TEST_CASE("transfer state: what is over leaves nothing") {
  TemporaryFolder folder;
  TransferState state(disk_files);
  REQUIRE(state.open(folder.path(), "x") == 0);
  CHECK(state.save(a_transfer(1), false) == 0);
  CHECK(state.remove() == 0);
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("transfer state: bytes of somebody else are none") {
  TemporaryFolder folder;
  std::ofstream(folder.path() + "/x") << std::string(200'000, 'x');
  TransferState state(disk_files);
  REQUIRE(state.open(folder.path(), "x") == 0);
  CHECK_FALSE(load(state));
}

TEST_CASE("bookmarks: the last one that is not behind a point is found") {
  Bookmarks marks;
  CHECK(marks.find(0, 0) == nullptr);
  marks.note({1, 100, {1}});
  marks.note({1, 300, {2}});
  marks.note({4, 500, {3}});
  CHECK(marks.find(0, 99) == nullptr);
  CHECK(marks.find(1, 299)->place == Bytes{1});
  CHECK(marks.find(3, 400)->place == Bytes{2});
  CHECK(marks.find(9, 900)->place == Bytes{3});
}

TEST_CASE("bookmarks: of what is durable only the last is kept") {
  Bookmarks marks;
  for (std::uint64_t i = 1; i <= 5; ++i) marks.note({i, i * 10, {}});
  marks.forget_before(3, 35);
  CHECK(marks.all().size() == 3);
  CHECK(marks.all().front().messages == 3);
}

TEST_CASE("bookmarks: what lies behind the point where the source goes on is forgotten") {
  Bookmarks marks;
  marks.note({0, 0, {1}});
  marks.note({1, 10, {2}});
  marks.forget_behind(0, 9);
  CHECK(marks.all().size() == 1);
  CHECK(marks.find(9, 90)->place == Bytes{1});
}

TEST_CASE("bookmarks: two at one point are one") {
  Bookmarks marks;
  marks.note({1, 10, {1}});
  marks.note({1, 10, {2}});
  CHECK(marks.all().size() == 1);
  CHECK(marks.find(1, 10)->place == Bytes{2});
}
