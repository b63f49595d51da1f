#include "client/recall.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/file_input.h"
#include "client/kept_lines.h"
#include "tests/support/memory_files.h"

using namespace cproto;
using namespace cproto::client;
using namespace cproto::test;

namespace {

// Something that can be gone on with, if it is still what it was.
class Lines final : public Source {
 public:
  Piece peek(std::size_t) override { return {}; }
  void take(std::size_t, bool) override {}
  void skip() override {}
  void stop() override {}
  bool is_drained() override { return true; }
  int knows(const Bookmark&, bool& is_known) const override {
    is_known = !has_changed;
    return 0;
  }
  bool can_continue() const override { return true; }
  std::string name(std::uint64_t) const override { return "line"; }
  Noun noun() const override { return {"line", "lines"}; }

  bool has_changed = false;
};

// A machine on which an earlier run of the command was interrupted.
class Rig : Screen {
 public:
  explicit Rig(Options::Job job = Options::Job::lines) {
    options.job = job;
    options.servers = {{"logs", 7780}};
    options.client_id = "web-1";
    options.files = {"/app.log"};
    options.state_directory = "/state";
    interrupted_at({3});
  }

  void interrupted_at(Bytes place) {
    TransferState state(files);
    (void)recall(options, source, state, progress);
    SavedTransfer earlier;
    earlier.attempt = 7;
    earlier.bookmarks = {{1, 2, std::move(place)}};
    REQUIRE(state.save(earlier, true) == 0);
  }
  std::variant<std::optional<SavedTransfer>, Problem> runs_again(TransferState& state) {
    return runs_again(state, source);
  }
  std::variant<std::optional<SavedTransfer>, Problem> runs_again(TransferState& state, const Source& what) {
    return recall(options, what, state, progress);
  }
  void fails(FileOp::Kind kind, int error) {
    files.disk.fault = [kind, error](const FileOp& op, const std::string&) { return op.kind == kind ? error : 0; };
  }
  void becomes_read_only() {
    files.disk.fault = [](const FileOp& op, const std::string&) {
      return op.kind == FileOp::Kind::open_or_create || op.kind == FileOp::Kind::remove ? EROFS : 0;
    };
  }

  MemoryFiles files{1, [] { return std::int64_t{1}; }};
  Options options;
  Lines source;
  Tally tally;
  Progress progress{*this, {}, tally, Instant{}};
  std::vector<std::string> lines;

 private:
  bool is_terminal() const override { return false; }
  void say(std::string_view line) override { lines.emplace_back(line); }
  void show(std::string_view) override {}
};

const SavedTransfer* saved_in(const std::variant<std::optional<SavedTransfer>, Problem>& recalled) {
  const auto* saved = std::get_if<std::optional<SavedTransfer>>(&recalled);
  return saved != nullptr && *saved ? &**saved : nullptr;
}

}  // namespace

TEST_CASE("recall: a full disk takes nothing of what is remembered") {
  Rig rig;
  rig.fails(FileOp::Kind::write, ENOSPC);
  TransferState state(rig.files);
  const auto recalled = rig.runs_again(state);
  REQUIRE(saved_in(recalled));
  CHECK(saved_in(recalled)->attempt == 7);
  CHECK(state.is_open());
  CHECK(rig.lines ==
        std::vector<std::string>{"/state: No space left on device; if this is interrupted it may begin anew"});
}

TEST_CASE("recall: a disk that can only be read is gone on from, and that is said") {
  Rig rig;
  rig.becomes_read_only();
  TransferState state(rig.files);
  const auto recalled = rig.runs_again(state);
  REQUIRE(saved_in(recalled));
  CHECK(rig.lines ==
        std::vector<std::string>{"/state: Read-only file system; if this is interrupted it may begin anew"});
}

TEST_CASE("recall: what cannot be read is not sent again unasked") {
  Rig rig;
  std::string reason;
  SUBCASE("read") {
    rig.fails(FileOp::Kind::read, EIO);
    reason = "Input/output error";
  }
  SUBCASE("opened") {
    rig.files.disk.fault = [](const FileOp& op, const std::string&) {
      return op.kind == FileOp::Kind::open_or_create || op.kind == FileOp::Kind::open_to_read ? EACCES : 0;
    };
    reason = "Permission denied";
  }
  {
    TransferState state(rig.files);
    const auto recalled = rig.runs_again(state);
    const auto* problem = std::get_if<Problem>(&recalled);
    REQUIRE(problem);
    CHECK(problem->status == Status::cant_create);
    CHECK(problem->sentence ==
          "/state: " + reason + "; what an earlier run left there cannot be read; --restart begins anew");
  }
  rig.options.restart = true;
  {
    TransferState state(rig.files);
    const auto recalled = rig.runs_again(state);
    CHECK(std::holds_alternative<std::optional<SavedTransfer>>(recalled));
    CHECK_FALSE(saved_in(recalled));
  }
  rig.files.disk.fault = nullptr;
  rig.options.restart = false;
  TransferState state(rig.files);
  CHECK_FALSE(saved_in(rig.runs_again(state)));
}

TEST_CASE("recall: lines that cannot be compared with what an earlier run sent are not taken for changed ones") {
  Rig rig;
  rig.files.append("/app.log", as_bytes("one\ntwo\n"));
  auto input = std::make_unique<FileInput>(rig.files);
  REQUIRE(input->open("/app.log") == 0);
  KeptLines lines("/app.log", std::move(input), false, [] { return Instant{}; });
  (void)lines.peek(64);
  rig.interrupted_at(*lines.take_bookmark());

  rig.files.disk.fault = [](const FileOp& op, const std::string& path) {
    return op.kind == FileOp::Kind::read && path == "/app.log" ? EIO : 0;
  };
  {
    TransferState state(rig.files);
    const auto recalled = rig.runs_again(state, lines);
    const auto* problem = std::get_if<Problem>(&recalled);
    REQUIRE(problem);
    CHECK(problem->status == Status::io_error);
    CHECK(problem->sentence ==
          "/app.log: Input/output error; it cannot be told whether an earlier run sent it; --restart begins anew");
  }
  rig.files.disk.fault = nullptr;
  TransferState state(rig.files);
  CHECK(saved_in(rig.runs_again(state, lines)));
}

TEST_CASE("recall: lines go on in the file that was compared, whatever has its name by then") {
  Rig rig;
  rig.files.append("/app.log", as_bytes("one\ntwo\nthree\n"));
  FileInput first(rig.files);
  REQUIRE(first.open("/app.log") == 0);
  const Bytes place = first.place();
  FileInput input(rig.files);
  REQUIRE(input.open("/app.log") == 0);
  bool is_known = false;
  REQUIRE(input.knows(place, is_known) == 0);
  REQUIRE(is_known);
  rig.files.rename("/app.log", "/app.log.1");
  rig.files.append("/app.log", as_bytes("another\n"));
  REQUIRE(input.resume(place, 4) == 0);
  CHECK(input.fill() == ByteInput::Got::some);
  CHECK(as_text(input.data()) == "two\nthree\n");
}

TEST_CASE("recall: where nothing is known and nothing can be written it begins, and that is said") {
  Rig rig;
  rig.becomes_read_only();
  rig.options.files = {"/other.log"};
  TransferState state(rig.files);
  const auto recalled = rig.runs_again(state);
  CHECK(std::holds_alternative<std::optional<SavedTransfer>>(recalled));
  CHECK_FALSE(saved_in(recalled));
  CHECK_FALSE(state.is_open());
  CHECK(rig.lines ==
        std::vector<std::string>{"/state: Read-only file system; if this is interrupted it will begin anew"});
}

TEST_CASE("recall: what has changed is sent all the same where the old entry cannot be removed") {
  Rig rig;
  rig.becomes_read_only();
  rig.source.has_changed = true;
  TransferState state(rig.files);
  const auto recalled = rig.runs_again(state);
  CHECK(std::holds_alternative<std::optional<SavedTransfer>>(recalled));
  CHECK_FALSE(saved_in(recalled));
  CHECK_FALSE(state.is_open());
  CHECK(rig.lines.size() == 2);
}

TEST_CASE("recall: nothing begins anew beside an entry that would mislead the next run") {
  Rig rig;
  rig.becomes_read_only();
  rig.options.restart = true;
  TransferState state(rig.files);
  const auto recalled = rig.runs_again(state);
  const auto* problem = std::get_if<Problem>(&recalled);
  REQUIRE(problem);
  CHECK(problem->status == Status::cant_create);
  CHECK(problem->sentence == "/state: Read-only file system");
}

TEST_CASE("recall: a log is not followed from a place that a power cut could take") {
  Rig rig(Options::Job::follow);
  rig.fails(FileOp::Kind::sync_all, EIO);
  TransferState state(rig.files);
  const auto recalled = rig.runs_again(state);
  const auto* problem = std::get_if<Problem>(&recalled);
  REQUIRE(problem);
  CHECK(problem->status == Status::cant_create);
}
