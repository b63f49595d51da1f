#include "client/journal_source.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "client/loop.h"
#include "tests/support/system_journal.h"

using namespace cproto;
using namespace cproto::client;
using cproto::test::has_system_journals;
using cproto::test::SystemJournal;
using Kind = Piece::Kind;
using Strings = std::vector<std::string>;

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

// A source and the loop it waits in.
class Following {
 public:
  explicit Following(const SystemJournal& journal, const Strings& matches = {}, bool from_end = false) {
    auto reader = std::make_unique<JournalReader>();
    const auto problem = reader->open(journal.directory(), matches);
    REQUIRE_MESSAGE(!problem, problem->sentence);
    source_ = std::make_unique<JournalSource>(
        loop_.get(), std::move(reader), from_end, [this] { return now_; }, [this] { ++wakes_; }, [this] { ++gaps_; });
  }

  JournalSource* operator->() { return source_.get(); }

  // The next entry, taken in steps of so many bytes; empty if there is none at the moment.
  std::string take(std::size_t step = SIZE_MAX) {
    std::string line;
    while (true) {
      const Piece piece = source_->peek(step);
      if (piece.kind != Kind::part) {
        CHECK(piece.kind == Kind::wait);
        return line;
      }
      CHECK((piece.is_last || piece.bytes.size() % step == 0));
      const std::size_t size = std::min(piece.bytes.size(), step);
      const bool is_complete = size == piece.bytes.size();
      line += as_text(piece.bytes.first(size));
      source_->take(size, is_complete);
      if (is_complete && piece.is_last) return line;
    }
  }
  std::string take_number() {
    const std::string line = take();
    const std::size_t at = line.find("\"NUMBER\":\"");
    return at == std::string::npos ? "" : line.substr(at + 10, line.find('"', at + 10) - at - 10);
  }
  Strings take_numbers() {
    Strings numbers;
    for (std::string number = take_number(); !number.empty(); number = take_number()) numbers.push_back(number);
    return numbers;
  }

  // Runs the loop until it is woken, for some seconds at most.
  bool wait() {
    bool is_late = false;
    Timer limit(loop_.get(), [&is_late] { is_late = true; });
    limit.arm(10s);
    const int before = wakes_;
    while (wakes_ == before && !is_late) uv_run(loop_.get(), UV_RUN_ONCE);
    return wakes_ > before;
  }
  void run_what_is_due() { uv_run(loop_.get(), UV_RUN_NOWAIT); }
  int wakes() const { return wakes_; }
  int gaps() const { return gaps_; }
  void pass(Duration time) { now_ += time; }

  // As the session would ask for it.
  Bookmark mark(std::uint64_t messages) {
    source_->peek(1000);
    auto place = source_->take_bookmark();
    REQUIRE(place.has_value());
    return {messages, 0, std::move(*place)};
  }
  bool has_mark() {
    source_->peek(1000);
    return source_->take_bookmark().has_value();
  }

 private:
  Instant now_{};
  TestLoop loop_;
  int wakes_ = 0;
  int gaps_ = 0;
  std::unique_ptr<JournalSource> source_;
};

}  // namespace

TEST_CASE("journal source: each entry is a message") {
  if (!has_system_journals()) return;
  const SystemJournal journal;
  journal.write_numbers(1, 2);
  Following source(journal);
  CHECK_FALSE(source->begin().has_value());
  CHECK(source->peek(1000).is_last);
  CHECK(source.take_numbers() == Strings{"1", "2"});
  CHECK(source->peek(1000).kind == Kind::wait);
  CHECK(source->name(81004) == "entry 81,004");
  CHECK(source->noun().many == "entries");
}

TEST_CASE("journal source: an entry larger than a packet comes in as many pieces as are taken of it") {
  if (!has_system_journals()) return;
  const SystemJournal journal;
  journal.write(1, {{"MESSAGE", std::string(100 << 10, 'x')}});
  Following whole(journal);
  Following pieces(journal);
  const std::string line = whole.take();
  CHECK(line.size() > 100 << 10);
  CHECK(pieces.take(1000) == line);

  const SystemJournal huge;
  huge.write(1, {{"MESSAGE", std::string(3 << 20, 'x')}});
  huge.write(2, {{"NUMBER", "2"}});
  Following both(huge);
  CHECK(both.take().size() > 3 << 20);
  CHECK(both.take_number() == "2");
}

TEST_CASE("journal source: goes on behind a bookmark, and so many entries further") {
  if (!has_system_journals()) return;
  const SystemJournal journal;
  journal.write_numbers(1, 6);
  Following earlier(journal);
  CHECK_FALSE(earlier->begin().has_value());
  const Bookmark first = earlier.mark(10);
  CHECK(earlier.take_number() == "1");
  CHECK(earlier.take_number() == "2");
  earlier.pass(10s);
  const Bookmark third = earlier.mark(12);

  for (const std::uint64_t further : {0U, 1U, 3U}) {
    Following source(journal);
    const auto resumed = source->resume(third, {12 + further, 0, {}});
    CHECK(resumed.messages == 2 + further);
    CHECK(source.take_number() == std::to_string(3 + further));
    Following from_first(journal);
    CHECK(from_first->resume(first, {10 + further, 0, {}}).messages == further);
    CHECK(from_first.take_number() == std::to_string(1 + further));
    CHECK(source.gaps() + from_first.gaps() == 0);
  }
}

TEST_CASE("journal source: an unreadable place is told, and nothing is sent") {
  if (!has_system_journals()) return;
  const SystemJournal journal;
  journal.write_numbers(1, 6);
  Following source(journal);
  Bookmark nonsense{0, 0, Bytes(9)};
  for (const char c : {'n', 'o'}) nonsense.place.push_back(static_cast<std::uint8_t>(c));
  source->resume(nonsense, {0, 0, {}});
  const Piece piece = source->peek(1000);
  CHECK(piece.kind == Kind::broken);
  CHECK(piece.problem.sentence == "the journal cannot be read: Invalid argument");
  source->skip();
  CHECK(source->peek(1000).kind == Kind::end);
}

TEST_CASE("journal source: a bookmark is made at first, after ten seconds, a thousand entries, or at the end") {
  if (!has_system_journals()) return;
  const SystemJournal journal;
  journal.write_numbers(1, 1200);
  Following source(journal);
  CHECK_FALSE(source->begin().has_value());
  CHECK(source.has_mark());
  source.take();
  CHECK_FALSE(source.has_mark());
  source.pass(10s);
  CHECK(source.has_mark());
  source.pass(10s);
  CHECK_FALSE(source.has_mark());
  for (int i = 0; i < 999; ++i) source.take();
  CHECK(source.has_mark());
  for (int i = 0; i < 100; ++i) source.take();
  CHECK_FALSE(source.has_mark());
  source->stop();
  CHECK(source.has_mark());
  CHECK_FALSE(source.has_mark());
}

TEST_CASE("journal source: within an entry there is no bookmark, and behind one that is skipped there is") {
  if (!has_system_journals()) return;
  const SystemJournal journal;
  journal.write_numbers(1, 2);
  Following source(journal);
  CHECK_FALSE(source->begin().has_value());
  CHECK(source.has_mark());
  const std::size_t size = source->peek(10).bytes.size();
  source->take(10, false);
  source.pass(10s);
  CHECK_FALSE(source.has_mark());
  CHECK(source->peek(10).bytes.size() == size - 10);
  source->skip();
  const Bookmark behind = source.mark(0);
  Following later(journal);
  CHECK(later->resume(behind, {0, 0, {}}).messages == 1);
  CHECK(later.take_number() == "2");
}

TEST_CASE("journal source: an entry of which the server has a part comes again, and counts twice in the session") {
  if (!has_system_journals()) return;
  const SystemJournal journal;
  journal.write_numbers(1, 3);
  Following earlier(journal);
  CHECK_FALSE(earlier->begin().has_value());
  const Bookmark first = earlier.mark(0);
  Following later(journal);
  later->resume(first, {1, 700, 500});
  CHECK(later->peek(10).kind == Kind::restart);
  later->take(0, false);
  const Bookmark again = later.mark(2);
  CHECK(later.take_numbers() == Strings{"2", "3"});
  Following last(journal);
  CHECK(last->resume(again, {3, 1400, {}}).messages == 2);
  CHECK(last.take_number() == "3");
}

TEST_CASE("journal source: behind an entry that is gone, it goes on with what is left, and tells of the gap") {
  if (!has_system_journals()) return;
  const SystemJournal journal;
  journal.write_numbers(1, 3, "a.journal");
  journal.write_numbers(4, 6, "b.journal");
  Following earlier(journal);
  CHECK_FALSE(earlier->begin().has_value());
  const Bookmark first = earlier.mark(0);
  CHECK(earlier.take_number() == "1");
  earlier.pass(10s);
  const Bookmark second = earlier.mark(1);
  journal.remove("a.journal");
  Following source(journal);
  source->resume(second, {5, 0, {}});
  CHECK(source.take_numbers() == Strings{"4", "5", "6"});
  CHECK(source.gaps() == 1);
  Following unsent(journal);
  unsent->resume(first, {0, 0, {}});
  CHECK(unsent.take_numbers() == Strings{"4", "5", "6"});
  CHECK(unsent.gaps() == 1);
}

TEST_CASE("journal source: fewer entries behind the bookmark than were sent are a gap") {
  if (!has_system_journals()) return;
  const SystemJournal journal;
  journal.write_numbers(1, 3);
  Following earlier(journal);
  CHECK_FALSE(earlier->begin().has_value());
  const Bookmark first = earlier.mark(0);
  Following source(journal);
  source->resume(first, {5, 0, {}});
  CHECK(source.take_numbers() == Strings{});
  CHECK(source.gaps() == 1);
}

TEST_CASE("journal source: what is removed before it was read is a gap, told once") {
  if (!has_system_journals()) return;
  const SystemJournal journal;
  journal.write_numbers(1, 3, "a.journal");
  journal.write_numbers(4, 6, "b.journal");
  Following source(journal);
  CHECK(source.take_number() == "1");
  journal.remove("a.journal");
  source.run_what_is_due();
  CHECK(source.take_number() == "");
  CHECK(source.gaps() == 0);
  REQUIRE(source.wait());
  CHECK(source.take_number() == "4");
  CHECK(source.gaps() == 1);
  journal.rename("b.journal", "c.journal");
  source.run_what_is_due();
  CHECK(source.take_numbers() == Strings{"5", "6"});
  CHECK(source.gaps() == 1);
}

TEST_CASE("journal source: a file that is rotated while it is read is read to its end") {
  if (!has_system_journals()) return;
  const SystemJournal journal;
  journal.write_numbers(1, 4, "a.journal");
  Following source(journal);
  CHECK(source.take_number() == "1");
  journal.rename("a.journal", "b.journal");
  journal.write_numbers(5, 5, "a.journal");
  source.run_what_is_due();
  CHECK(source.take_number() == "2");

  // Seen between its two names.
  journal.rename("b.journal", "b.hidden");
  source.run_what_is_due();
  CHECK(source.take_number() == "");
  journal.rename("b.hidden", "c.journal");
  CHECK(source.wait());
  CHECK(source.take_numbers() == Strings{"3", "4", "5"});
  CHECK(source.gaps() == 0);
}

TEST_CASE("journal source: from the end on, what is there already is behind it, also for a later run") {
  if (!has_system_journals()) return;
  const SystemJournal journal;
  journal.write_numbers(1, 3);
  Following source(journal, {"NUMBER=4"}, true);
  CHECK_FALSE(source->begin().has_value());
  CHECK(source.take_numbers() == Strings{});
  const Bookmark end = source.mark(0);
  journal.write_numbers(4, 4);
  CHECK(source.wait());
  CHECK(source.take_numbers() == Strings{"4"});
  Following later(journal, {"NUMBER=4"}, true);
  later->resume(end, {0, 0, {}});
  CHECK(later.take_numbers() == Strings{"4"});
}

TEST_CASE("journal source: a new entry wakes, in a file it knows and in a new one") {
  if (!has_system_journals()) return;
  const SystemJournal journal;
  journal.write_numbers(1, 1, "a.journal");
  Following source(journal);
  CHECK(source.take_numbers() == Strings{"1"});
  journal.write_numbers(2, 3, "a.journal");
  CHECK(source.wait());
  CHECK(source.take_numbers() == Strings{"2", "3"});
  journal.write_numbers(4, 4, "b.journal");
  while (source.take_numbers() != Strings{"4"}) REQUIRE(source.wait());
  journal.remove("a.journal");
  journal.write_numbers(5, 5, "b.journal");
  while (source.take_numbers() != Strings{"5"}) REQUIRE(source.wait());
}

TEST_CASE("journal source: nobody is woken who does not wait") {
  if (!has_system_journals()) return;
  const SystemJournal journal;
  journal.write_numbers(1, 2);
  Following source(journal);
  CHECK(source.take_number() == "1");
  journal.write_numbers(3, 3);
  source.run_what_is_due();
  CHECK(source.wakes() == 0);
  CHECK(source.take_numbers() == Strings{"2", "3"});
}

TEST_CASE("journal source: told to stop, it gives the rest of what was begun and no more") {
  if (!has_system_journals()) return;
  const SystemJournal journal;
  journal.write_numbers(1, 3);
  Following begun(journal);
  const std::size_t size = begun->peek(10).bytes.size();
  begun->take(10, false);
  begun->stop();
  CHECK_FALSE(begun->is_drained());
  CHECK(begun->peek(10).bytes.size() == size - 10);
  begun->take(size - 10, true);
  CHECK(begun->is_drained());
  CHECK(begun->peek(10).kind == Kind::end);

  Following seen(journal);
  CHECK(seen->peek(10).kind == Kind::part);
  seen->stop();
  CHECK(seen->is_drained());
  CHECK(seen->peek(10).kind == Kind::end);
}
