#include "daemon/health.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/store_end.h"

using namespace cproto;
using namespace cproto::test;

namespace {

// A store and somebody who looks after it, with a service manager that wants to hear every 3 s.
struct Ward {
  Ward() {
    REQUIRE(end.open().empty());
    health = std::make_unique<Health>(
        end.disk.now(), HealthOptions{3s}, end.log, [this](const std::string& said) { notified.push_back(said); },
        [] { return std::string("well"); });
    session = std::make_unique<SessionEnd>(end);
    REQUIRE(session->connect().empty());
  }
  // Time passes as in the daemon: deadlines, and a check in each turn. `flushes` false: a pipeline that stands still.
  void pass(Duration duration, bool flushes = true) {
    for (const Instant until = end.disk.now() + duration; end.disk.now() < until;) {
      end.disk.advance_to(end.disk.now() + 100ms);
      if (flushes) end.store->flush();
      health->check(end.disk.now(), *end.store);
    }
  }
  void freeze_disk(Duration duration) {
    end.disk.latency = [duration](const Job&) { return duration; };
  }
  std::size_t count(const std::string& what) const {
    return static_cast<std::size_t>(std::count(notified.begin(), notified.end(), what));
  }
  std::string status() const {
    for (auto it = notified.rbegin(); it != notified.rend(); ++it)
      if (it->starts_with("STATUS=")) return it->substr(7);
    return {};
  }

  StoreEnd end;
  std::vector<std::string> notified;
  std::unique_ptr<Health> health;
  std::unique_ptr<SessionEnd> session;
};

}  // namespace

TEST_CASE("health: a loop that runs feeds the watchdog three times an interval") {
  Ward ward;
  ward.pass(30s);
  CHECK(ward.count("WATCHDOG=1") >= 25);
  CHECK(ward.count("WATCHDOG=1") <= 35);
  CHECK(ward.count("STATUS=well") == 1);
}

TEST_CASE("health: without a watchdog nobody is fed, and looking is seldom") {
  StoreEnd end;
  REQUIRE(end.open().empty());
  std::vector<std::string> notified;
  Health health(
      end.disk.now(), {Duration{0}}, end.log, [&](const std::string& said) { notified.push_back(said); },
      [] { return std::string("well"); });
  end.rest();
  health.check(end.disk.now(), *end.store);
  CHECK(notified == std::vector<std::string>{"STATUS=well"});
  CHECK(health.next_deadline() - end.disk.now() >= 10s);
}

TEST_CASE("health: a disk that does not answer is told, waited for, and told when it is over") {
  Ward ward;
  ward.end.rest();
  ward.pass(1min);
  ward.freeze_disk(45s);
  ward.session->send("one");
  ward.pass(9s);
  CHECK(ward.status() == "well");
  ward.pass(4s);
  CHECK(ward.status().starts_with("fdatasync on /store/journal has not returned for 1"));
  CHECK(ward.end.log.count("has not returned") == 1);
  CHECK(ward.end.log.events.back() == LogEvent::disk_stalled);
  const std::size_t fed = ward.count("WATCHDOG=1");
  ward.pass(25s);
  CHECK(ward.count("WATCHDOG=1") >= fed + 20);  // a restart would not help
  CHECK(ward.end.log.count("has not returned") == 1);
  ward.end.disk.latency = {};
  ward.pass(60s);
  CHECK(ward.session->acknowledged == Seq{1});
  CHECK(ward.end.log.contains("/store/journal answers again"));
  CHECK(ward.status() == "well");
}

TEST_CASE("health: a disk that is slow but works is well") {
  Ward ward;
  ward.freeze_disk(4s);
  for (int i = 0; i < 20; ++i) {
    ward.session->send("x");
    ward.pass(2s);
  }
  CHECK_FALSE(ward.end.log.contains("has not returned"));
}

TEST_CASE("health: a pipeline that stands still is not fed for after half a minute") {
  Ward ward;
  ward.end.rest();
  ward.pass(1min);
  ward.session->send("one");
  ward.pass(28s, false);
  const std::size_t fed = ward.count("WATCHDOG=1");
  CHECK(fed >= 80);
  ward.pass(30s, false);
  CHECK(ward.count("WATCHDOG=1") <= fed + 4);
  CHECK(ward.end.log.count("a bug in cprotod") == 1);
  CHECK(ward.end.log.events.back() == LogEvent::stuck);
}

TEST_CASE("health: while a failed disk is tried again the watchdog is fed and the status says why") {
  Ward ward;
  ward.end.rest();
  ward.end.disk.fault = [](const FileOp& op, const std::string&) {
    return op.kind == FileOp::Kind::sync_data ? EIO : 0;
  };
  ward.session->send("one");
  for (int i = 0; i < 60; ++i) {
    ward.pass(1s);
    ward.end.store->handle_timeout();
  }
  CHECK(ward.count("WATCHDOG=1") >= 50);
  CHECK(ward.status().find("disk failed") != std::string::npos);
  CHECK_FALSE(ward.end.log.contains("a bug in cprotod"));
}

TEST_CASE("health: a file that waits for the disk is told by its folder") {
  Ward ward;
  ward.pass(2s);
  SessionEnd files(ward.end, "web-2", "messages", MessageKind::file);
  REQUIRE(files.connect().empty());
  ward.freeze_disk(60s);
  files.begin_file({"a", {}, {}, {}});
  ward.pass(15s);
  CHECK(ward.status().find("writing to /store/partial has not returned for ") == 0);
  ward.freeze_disk(1ms);
  ward.pass(60s);
  CHECK(ward.end.log.contains("/store/partial answers again; files go on"));
}
