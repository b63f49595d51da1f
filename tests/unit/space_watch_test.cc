// The floor of the disk and the limit of an inbox, at the real store on a disk in memory.
#include "daemon/space_watch.h"

#include <doctest/doctest.h>

#include <string>

#include "daemon/metrics.h"
#include "tests/support/store_end.h"

using namespace cproto;
using namespace cproto::test;

namespace {

constexpr std::uint64_t kMiB = 1u << 20;
constexpr std::uint64_t kGiB = 1u << 30;

// A store whose disk has as much room as a test says. 5 % of it is more than the floor.
struct Roomy : StoreEnd {
  explicit Roomy(std::uint64_t free_bytes = 10 * kGiB) : free(free_bytes), session(*this) {
    disk.space = [this](const std::string& path) {
      const bool is_inbox = has_two && path.find("/inbox") != std::string::npos;
      return SpaceStatus{is_inbox ? inbox_free : free, 100 * kGiB, is_inbox ? 2u : 1u};
    };
    world.time_of_day = [] { return std::string("02:14"); };
    options.space.free_space = kGiB;
    REQUIRE(open().empty());
    REQUIRE(session.connect().empty());
  }
  std::string trouble(const std::string& client = "web-1") {
    const Error* error = store->no_room(client);
    return error == nullptr ? "" : error_name(error->code) + ": " + error->sentence;
  }
  void give(const std::string& client, std::uint64_t bytes) {
    disk.make_directories("/store/inbox/" + client);
    disk.write_file("/store/inbox/" + client + "/old.log", Bytes(bytes));
  }

  std::uint64_t free;
  std::uint64_t inbox_free = 0;
  bool has_two = false;
  SessionEnd session;
};

}  // namespace

TEST_CASE("space: with room on the disk nobody waits, and it is looked at now and then") {
  Roomy end;
  end.rest();
  const std::uint64_t operations = end.disk.operations();
  end.run(10min);
  CHECK(end.trouble().empty());
  CHECK(end.disk.operations() > operations);
  CHECK(end.disk.operations() < operations + 300);
}

TEST_CASE("space: below the floor everybody waits, and is told since when") {
  Roomy end;
  end.free = kGiB / 10 * 9;
  end.run(30s);
  CHECK(end.trouble() == "disk_full: disk below its floor (0.8 of 1 GiB free) since 02:14");
  CHECK(end.store->no_room("web-1")->error_class == ErrorClass::retry_after);
  CHECK(end.store->no_room("web-1")->retry_after_ms > 0);
}

TEST_CASE("space: what was received below the floor is acknowledged and delivered") {
  Roomy end;
  end.free = 0;
  end.run(30s);
  end.session.send("hello");  // as if it had come just before
  end.rest();
  CHECK(end.session.acknowledged == Seq{1});
  CHECK(end.log_text() == "hello\n");
}

TEST_CASE("space: with room again it goes on by itself, and the log says so") {
  Roomy end;
  end.free = 0;
  end.run(30s);
  REQUIRE_FALSE(end.trouble().empty());
  end.free = 2 * kGiB;
  end.run(3s);
  CHECK(end.trouble().empty());
  CHECK(end.log.count("above its floor again (2 GiB free); senders go on") == 1);
}

TEST_CASE("space: below the floor no second name keeps the space of a log that its owner removes") {
  Roomy end;
  end.session.send("hello");
  end.run(2s);
  REQUIRE(end.disk.list_directory("/store/open").size() == 1);
  end.free = 0;
  end.run(10s);
  end.disk.remove_file(end.inbox("web-1", "messages.log"));
  end.run(10s);
  CHECK(end.disk.list_directory("/store/open").empty());
  end.session.send("again");
  end.run(2s);
  CHECK(end.log_text() == "again\n");
}

TEST_CASE("space: a log that is removed while much is written below the floor goes, too") {
  Roomy end;
  end.free = 0;
  end.run(6s);
  for (int i = 0; i < 20; ++i) {
    end.session.send("message");
    end.run(300ms);
    if (i == 10) end.disk.remove_file(end.inbox("web-1", "messages.log"));
  }
  end.run(5s);
  CHECK(end.disk.list_directory("/store/open").empty());
}

TEST_CASE("space: a store that is opened below its floor takes nothing from the start") {
  Roomy end;
  end.rest();
  end.session.lose_server();
  end.kill();
  end.free = 0;
  REQUIRE(end.open().empty());
  CHECK_FALSE(end.trouble().empty());
}

TEST_CASE("space: the line of the floor has the three largest clients") {
  Roomy end;
  end.give("db-1", 4 * kMiB);
  end.give("web-3", 3 * kMiB);
  end.give("web-2", 2 * kMiB);
  end.give("web-9", 1 * kMiB);
  end.free = 0;
  end.run(30s);
  CHECK(
      end.log.count("disk of /store below its floor (0 of 1 GiB free): senders wait. Largest: db-1 4 MiB, web-3 3 MiB, "
                    "web-2 2 MiB") == 1);
  end.run(10min);
  CHECK(end.log.count("below its floor") == 1);
}

TEST_CASE("space: at twice the floor comes a warning, once, with the three largest clients") {
  Roomy end;
  end.give("db-1", 4 * kMiB);
  end.free = kGiB / 2 * 3;
  end.run(10min);
  CHECK(end.trouble().empty());
  CHECK(end.log.count(
            "disk of /store is filling up: 1.5 GiB free, and below 1 GiB senders wait. Largest: db-1 4 MiB") == 1);
  CHECK(end.log.events.back() == LogEvent::disk_low);
}

TEST_CASE("space: folders that cannot be measured in time hold no line back") {
  Roomy end;
  end.give("db-1", 4 * kMiB);
  end.rest();
  end.disk.latency = [](const Job& job) {
    return job.at(0).kind == FileOp::Kind::measure ? Duration(1h) : Duration(1ms);
  };
  end.free = 0;
  end.run(30s);
  CHECK(end.log.count("below its floor (0 of 1 GiB free): senders wait.") == 1);
}

TEST_CASE("space: a disk that goes up and down at its floor is said once a minute, with how often") {
  Roomy end;
  for (int i = 0; i < 60; ++i) {
    end.free = i % 2 == 0 ? 0 : kGiB;
    end.run(2s);
  }
  CHECK(end.log.count("senders wait") >= 2);
  CHECK(end.log.count("senders wait") <= 4);
  CHECK(end.log.contains(" more since the last such line"));
}

TEST_CASE("space: on a small disk the floor is 5 %") {
  Roomy end;
  end.disk.space = [](const std::string&) { return SpaceStatus{kMiB, 100 * kMiB, 1}; };
  end.run(30s);
  CHECK(end.trouble().find("(1 of 5 MiB free)") != std::string::npos);
}

TEST_CASE("space: the inbox may be on a disk of its own, which has a floor, too") {
  Roomy end;
  end.has_two = true;
  end.inbox_free = 0;
  end.run(30s);
  CHECK_FALSE(end.trouble().empty());
  CHECK(end.log.contains("disk of /store/inbox below its floor"));
  end.inbox_free = 10 * kGiB;
  end.run(3s);
  CHECK(end.trouble().empty());
}

TEST_CASE("space: what is received brings the next look forward") {
  Roomy end(3 * kGiB);
  end.run(1s);
  end.free = 0;
  for (int i = 0; i < 10 && end.trouble().empty(); ++i) {
    SessionEntry& entry = *end.session.entry;
    server_event::Received run{entry.received.through.next(), 0, kGiB / 8, false, {}, entry.received};
    run.after.through = run.first;
    end.store->append(entry, run);  // as much as its sender says
    end.run(10ms);
  }
  CHECK_FALSE(end.trouble().empty());
  CHECK(end.disk.now() < Instant{} + 10s);
}

TEST_CASE("space: what is durable and still to go into the inbox is room that is not there any more") {
  Roomy end(kGiB + kMiB);
  end.disk.latency = [](const Job& job) {
    return job.front().kind == FileOp::Kind::expect_identity ? Duration(1min) : Duration(1ms);
  };
  for (int i = 0; i < 40; ++i) {
    end.session.send(std::string(60'000, '.'));
    end.sync();
  }
  end.run(10s);
  CHECK(end.trouble().starts_with("disk_full: disk below its floor"));
  end.run(5min);
  CHECK(end.trouble().empty());
}

TEST_CASE("space: without a floor nobody looks") {
  StoreEnd end;
  REQUIRE(end.open().empty());
  end.disk.space = [](const std::string&) { return SpaceStatus{}; };
  end.rest();
  const std::uint64_t operations = end.disk.operations();
  end.run(50min);
  CHECK(end.store->no_room("web-1") == nullptr);
  CHECK(end.disk.operations() == operations);
}

TEST_CASE("space: a floor that is taken away by a reload holds nobody any longer, and one that is set does") {
  Roomy end(0);
  CHECK_FALSE(end.trouble().empty());
  end.options.space = SpaceLimits{};
  end.store->set_options(end.options);
  CHECK(end.trouble().empty());
  end.options.space = SpaceLimits{kGiB, 0};
  end.store->set_options(end.options);
  end.run(1s);
  CHECK_FALSE(end.trouble().empty());
}

TEST_CASE("space: a file whose announced size would go below the floor is refused before its first byte") {
  Roomy end(2 * kGiB);
  SessionEnd files(end, "web-1", "messages", MessageKind::file);
  REQUIRE(files.connect().empty());
  files.begin_file({"large.img", kGiB + 1, {}, {}});
  end.run(2s);
  REQUIRE(files.refused_late.size() == 1);
  CHECK(files.refused_late[0].code == ErrorCode::no_space_for_file);
  SessionEnd others(end, "web-2", "messages", MessageKind::file);
  REQUIRE(others.connect().empty());
  others.begin_file({"fits.img", kGiB - 1, {}, {}});
  end.run(2s);
  CHECK(others.refused_late.empty());
}

// --- a client's inbox ---

namespace {

struct Bounded : StoreEnd {
  Bounded() : session(*this) {
    options.space.inbox_per_client = kMiB;
    REQUIRE(open().empty());
    REQUIRE(session.connect().empty());
    run(1s);
  }
  bool is_full(const std::string& client = "web-1") {
    const Error* error = store->no_room(client);
    return error != nullptr && error->code == ErrorCode::inbox_full;
  }
  SessionEnd session;
};

}  // namespace

TEST_CASE("space: at its limit a client's senders wait and are told so; others go on") {
  Bounded end;
  for (int i = 0; i < 16 && !end.is_full(); ++i) end.session.send(std::string(100'000, 'x'));
  REQUIRE(end.is_full());
  CHECK(end.store->no_room("web-1")->sentence == "the inbox of web-1 is at its limit (1 of 1 MiB)");
  CHECK(end.store->no_room("web-2") == nullptr);
  end.run(10min);
  CHECK(end.is_full());
  CHECK(end.log.count("web-1: its inbox is at its limit") == 1);
  CHECK(end.log_bytes("web-1", "messages.log").size() > kMiB);  // all that was taken is there
}

TEST_CASE("space: what is moved out of a client's inbox is room again") {
  Bounded end;
  for (int i = 0; i < 16; ++i) end.session.send(std::string(100'000, 'x'));
  end.run(2min);
  REQUIRE(end.is_full());
  end.disk.remove_file(end.inbox("web-1", "messages.log"));
  end.run(10s);
  CHECK_FALSE(end.is_full());
  CHECK(end.log.count("web-1: its inbox has room again") == 1);
}

TEST_CASE("space: what is in an inbox counts after a restart, too") {
  Bounded end;
  for (int i = 0; i < 16; ++i) end.session.send(std::string(100'000, 'x'));
  end.rest();
  end.session.lose_server();
  end.close();
  REQUIRE(end.open().empty());
  end.run(1s);
  CHECK(end.is_full());
}

// --- clients ---

TEST_CASE("space: clients that have a folder count against the limit of clients, after a restart, too") {
  StoreEnd end;
  end.options.registry.clients_max = 2;
  REQUIRE(end.open().empty());
  for (const char* client : {"web-1", "web-2"}) {
    SessionEnd session(end, client);
    REQUIRE(session.connect().empty());
    session.send("hello");
    end.sync();
    session.forget();
  }
  end.rest();
  SessionEnd third(end, "web-3");
  CHECK(third.connect() == "too_many_clients");
  end.close();
  REQUIRE(end.open().empty());
  CHECK(third.connect() == "too_many_clients");
  SessionEnd first(end, "web-1");
  CHECK(first.connect().empty());
}

TEST_CASE("space: a client whose folder was removed makes room for another") {
  StoreEnd end;
  end.options.registry.clients_max = 1;
  end.disk.make_directories("/store/inbox/web-1");
  REQUIRE(end.open().empty());
  SessionEnd session(end, "web-2");
  CHECK(session.connect() == "too_many_clients");
  end.run(1s);
  end.disk.rename_file("/store/inbox/web-1", "/elsewhere");
  end.run(6s);
  CHECK(session.connect() == "too_many_clients");
  end.run(1s);
  CHECK(session.connect().empty());
}
