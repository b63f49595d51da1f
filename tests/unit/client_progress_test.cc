#include "client/progress.h"

#include <doctest/doctest.h>
#include <uv.h>

#include <string>
#include <vector>

using namespace cproto;
using namespace cproto::client;

namespace {

class FakeScreen final : public Screen {
 public:
  bool is_terminal() const override { return has_terminal; }
  void say(std::string_view line) override { lines.emplace_back(line); }
  void show(std::string_view line) override { shown = line; }

  bool has_terminal = false;
  std::vector<std::string> lines;
  std::string shown;
};

Trouble refused(const char* host = "logs") {
  return unreachable({host, 7780}, Unreachable{0, {{"192.0.2.7", UV_ECONNREFUSED}}});
}

struct Rig {
  explicit Rig(bool has_terminal = false, bool is_quiet = false, bool is_verbose = false)
      : progress(screen, {is_quiet, is_verbose, {"line", "lines"}}, tally, Instant{}) {
    screen.has_terminal = has_terminal;
  }
  void lose(Instant now, bool holds_writer = false) { progress.on_trouble(now, refused(), 2s, "", holds_writer); }

  FakeScreen screen;
  Tally tally;
  Progress progress;
};

const std::string kRefused =
    "logs:7780 (192.0.2.7): connection refused; is cprotod running, and does it listen on this address? ";

}  // namespace

TEST_CASE("progress: of a file it says the name, how much of it, how fast, and how long yet") {
  Rig rig(true);
  rig.tally.durable_bytes = 50u << 20;
  rig.tally.current = {"disk.img", 100u << 20, 25u << 20};
  rig.progress.tick(Instant{} + 5s);
  CHECK(rig.screen.shown == "disk.img: 25 MiB of 100 MiB, 25 %, 10 MiB/s, 8 s left");
  rig.tally.current.durable = 100u << 20;
  rig.progress.tick(Instant{} + 5s);
  CHECK(rig.screen.shown == "disk.img: 100 MiB of 100 MiB, 100 %, 10 MiB/s, 1 s left");
  rig.tally.current = {"standard input", {}, 25u << 20};
  rig.progress.tick(Instant{} + 5s);
  CHECK(rig.screen.shown == "standard input: 25 MiB, 10 MiB/s");
}

TEST_CASE("progress: asked to, it says of each connection where it leads and how it is paced") {
  Rig rig(false, false, true);
  SynAck terms;
  terms.software = "cprotod 0.1.0";
  rig.progress.on_established("logs:7780", terms, {"cubic", "bbr", "do this"});
  REQUIRE(rig.screen.lines.size() == 1);
  CHECK(rig.screen.lines[0] ==
        "connected to logs:7780: cprotod 0.1.0, store 00000000, congestion control cubic (bbr is refused; to allow it: "
        "do this)");
}

TEST_CASE("progress: without a terminal one line when the server is lost, one when it is back") {
  Rig rig;
  const Instant start{};
  rig.progress.on_durable(start, "logs:7780");
  for (int i = 0; i < 100; ++i) rig.lose(start + i * 10s);
  rig.progress.on_durable(start + 1000s, "logs:7780 (192.0.2.7)");
  rig.progress.on_durable(start + 1001s, "logs:7780 (192.0.2.7)");
  REQUIRE(rig.screen.lines.size() == 2);
  CHECK(rig.screen.lines[0] == kRefused + "Next try in 2 s");
  CHECK(rig.screen.lines[1] == "logs:7780 (192.0.2.7): back after 17 min");
  CHECK(rig.screen.shown.empty());
}

TEST_CASE("progress: one line an hour while it lasts") {
  Rig rig;
  for (Instant now{}; now < Instant{} + 3h + 1min; now += 30s) rig.lose(now);
  CHECK(rig.screen.lines.size() == 4);
}

TEST_CASE("progress: a server that was never there is reached, not back") {
  Rig rig;
  rig.lose(Instant{});
  rig.progress.on_durable(Instant{} + 3s, "logs:7780");
  REQUIRE(rig.screen.lines.size() == 2);
  CHECK(rig.screen.lines[1] == "logs:7780: reached after 3 s");
}

TEST_CASE("progress: a pipe's writer is told of") {
  Rig rig;
  rig.lose(Instant{}, true);
  CHECK(rig.screen.lines.at(0) == kRefused + "The writer of this pipe is being held; next try in 2 s");
}

TEST_CASE("progress: each server is named once, and which one is next") {
  Rig rig;
  for (int i = 0; i < 3; ++i) {
    rig.progress.on_trouble(Instant{}, refused("a"), 0s, "b:7780", false);
    rig.progress.on_trouble(Instant{}, refused("b"), 2s, "a:7780", false);
  }
  REQUIRE(rig.screen.lines.size() == 2);
  CHECK(rig.screen.lines[0].ends_with("? Trying b:7780"));
  CHECK(rig.screen.lines[1].ends_with("? Next try in 2 s, at a:7780"));
}

TEST_CASE("progress: what a server says is said once more, with what is durable") {
  Rig rig;
  rig.tally.durable = 81004;
  rig.lose(Instant{});
  const Error full = Error::retry_after(ErrorCode::disk_full, 4s);
  for (int i = 0; i < 5; ++i)
    rig.progress.on_trouble(Instant{}, failed("logs:7780", full, true, nullptr), 4s, "", false);
  REQUIRE(rig.screen.lines.size() == 2);
  CHECK(rig.screen.lines[1] ==
        "logs:7780 says: the server's disk is full or below its floor; 81,004 lines are durable; next try in 4 s");
}

TEST_CASE("progress: a stall is said once, and its end") {
  Rig rig;
  rig.progress.on_durable(Instant{}, "logs:7780");
  for (int i = 30; i < 100; ++i) rig.progress.on_stall(Instant{} + i * 1s, "logs:7780", Instant{}, false);
  rig.progress.on_durable(Instant{} + 100s, "logs:7780");
  REQUIRE(rig.screen.lines.size() == 2);
  CHECK(rig.screen.lines[0] == "logs:7780: connected, but nothing has become durable for 30 s");
  CHECK(rig.screen.lines[1] == "logs:7780: back after 100 s");
}

TEST_CASE("progress: on a terminal a line that renews itself, and none of the others") {
  Rig rig(true);
  rig.tally.durable = 1000;
  rig.tally.durable_bytes = 10 << 20;
  rig.progress.tick(Instant{} + 500ms);
  CHECK(rig.screen.shown.empty());
  rig.progress.tick(Instant{} + 2s);
  CHECK(rig.screen.shown == "1,000 lines, 10 MiB durable, 5 MiB/s");
  rig.lose(Instant{} + 3s);
  CHECK(rig.screen.shown == "logs:7780 (192.0.2.7): connection refused; next try in 2 s");
  rig.progress.on_durable(Instant{} + 4s, "logs:7780");
  rig.progress.tick(Instant{} + 4s);
  CHECK(rig.screen.shown == "1,000 lines, 10 MiB durable, 2.5 MiB/s");
  CHECK(rig.screen.lines.empty());
}

TEST_CASE("progress: quiet is quiet but for what is refused or missing") {
  for (const bool has_terminal : {false, true}) {
    Rig rig(has_terminal, true);
    rig.lose(Instant{});
    rig.progress.on_durable(Instant{} + 3s, "logs:7780");
    rig.progress.tick(Instant{} + 5s);
    CHECK(rig.screen.lines.empty());
    CHECK(rig.screen.shown.empty());
    rig.tally.refused = 1;
    rig.progress.on_refused({"line 81,004", "larger than 64 MiB"});
    rig.progress.on_problem({Status::no_input, "x: No such file or directory"});
    CHECK(rig.screen.lines ==
          std::vector<std::string>{"line 81,004: larger than 64 MiB", "x: No such file or directory"});
  }
}

TEST_CASE("progress: refused messages beyond a hundred are not named one by one") {
  Rig rig;
  for (rig.tally.refused = 1; rig.tally.refused <= 300; ++rig.tally.refused) rig.progress.on_refused({"line", "no"});
  CHECK(rig.screen.lines.size() == kNamedMax + 1);
}
