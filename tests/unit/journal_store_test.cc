// The store on a disk that can lose, tear and refuse: what was acknowledged is there, exactly once.
#include "daemon/journal_store.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "daemon/store_format.h"
#include "proto/checksum.h"
#include "tests/support/frames.h"
#include "tests/support/store_end.h"

using namespace cproto;
using namespace cproto::test;

namespace {

struct OpenStore : StoreEnd {
  explicit OpenStore(std::uint64_t seed = 1) : StoreEnd(seed), session(*this) {
    options.segment_size = 16 * kBlockSize;
    REQUIRE(open().empty());
    REQUIRE(session.connect().empty());
  }
  void send(const std::string& message) {
    session.send(message);
    sync();
  }
  // All sessions hear nothing of it; `session` comes back.
  void restart(bool cuts_power = false) {
    session.lose_server();
    cuts_power ? cut_power() : kill();
    REQUIRE(open().empty());
  }
  // So many messages of another client that every segment is used again, three times and more.
  void recycle_everything() {
    SessionEnd busy(*this, "busy-1");
    REQUIRE(busy.connect().empty());
    const std::uint64_t begin = store->journal().gathering_number();
    for (int i = 0; i < 120; ++i) {
      busy.send(std::string(3'000, 'x'));
      sync();
      if (i % 8 == 0) run(1100ms);
    }
    REQUIRE(store->journal().batches().front().number > begin);
    REQUIRE(segments().size() <= 8);
  }
  SessionEnd session;
};

}  // namespace

// --- the promise ---

TEST_CASE("store: a message is acknowledged when it is durable, and is in the inbox") {
  StoreEnd end;
  REQUIRE(end.open() == "");
  SessionEnd session(end);
  REQUIRE(session.connect() == "");
  session.send("hello");
  CHECK(session.acknowledged == Seq{0});
  end.sync();
  CHECK(session.acknowledged == Seq{1});
  end.run(10ms);
  CHECK(end.log_text() == "hello\n");
}

TEST_CASE("store: what was acknowledged is there after kill -9, once") {
  StoreEnd end;
  REQUIRE(end.open() == "");
  SessionEnd session(end);
  REQUIRE(session.connect() == "");
  session.send("hello");
  end.sync();
  session.lose_server();
  end.kill();
  REQUIRE(end.open() == "");
  end.run(2s);
  CHECK(end.log_text() == "hello\n");
  REQUIRE(session.connect() == "");
  CHECK(session.acknowledged == Seq{1});
}

TEST_CASE("store: what was acknowledged is there after a power cut that takes all that was not synced") {
  OpenStore end;
  end.send("hello");
  end.session.lose_server();
  end.cut_power(Loss::everything);
  REQUIRE(end.open().empty());
  end.run(2s);
  CHECK(end.log_text() == "hello\n");
  REQUIRE(end.session.connect().empty());
  CHECK(end.session.acknowledged == Seq{1});
}

TEST_CASE("store: whatever is told is durable at that moment") {
  OpenStore end;
  for (int i = 0; i < 40; ++i) {
    end.session.send("message");
    end.run(Duration(1ms) * (i % 4));
    StoreEnd copy;
    copy.options = end.options;
    auto durable = end.disk.durable_copy();
    auto opened = JournalStore::open(*durable, copy.options, copy.world, copy.log);
    REQUIRE(std::holds_alternative<std::unique_ptr<JournalStore>>(opened));
    const JournalStore& store = *std::get<std::unique_ptr<JournalStore>>(opened);
    Seq known;
    for (const auto& [index, entry] : store.registry().all()) known = entry->durable.through;
    CHECK(known >= end.session.acknowledged);
  }
}

TEST_CASE("store: at rest everything is delivered, checkpointed and sealed, and nothing more is written") {
  OpenStore end;
  end.send("hello");
  end.rest();
  const std::uint64_t operations = end.disk.operations();
  end.run(1h);
  CHECK(end.disk.operations() == operations);
}

TEST_CASE("store: many logs that nobody writes to any more are closed") {
  OpenStore end;
  std::vector<std::unique_ptr<SessionEnd>> sessions;
  for (int i = 0; i < 520; ++i) {
    sessions.push_back(std::make_unique<SessionEnd>(end, "host-" + std::to_string(i)));
    REQUIRE(sessions.back()->connect().empty());
    sessions.back()->send("hello");
    end.sync();
  }
  end.run(2s);
  CHECK(end.disk.list_directory("/store/open").size() > 512);
  end.run(10s);
  CHECK(end.disk.list_directory("/store/open").empty());
  sessions.front()->send("again");
  end.run(2s);
  CHECK(end.log_text("host-0") == "hello\nagain\n");
}

TEST_CASE("store: a second of idleness writes a seal") {
  OpenStore end;
  end.send("hello");
  end.run(3s);
  const std::uint64_t number = end.store->journal().gathering_number();
  const std::uint64_t operations = end.disk.operations();
  end.run(1h);
  CHECK(end.store->journal().gathering_number() == number);
  CHECK(end.disk.operations() == operations);
  CHECK(!end.store->journal().can_seal());
}

// --- sessions ---

TEST_CASE("store: an idle session is known with its numbers after every segment was used again") {
  OpenStore end;
  end.session.send("one");
  end.session.send("two");
  end.sync();
  const SessionId id = end.session.terms.session;
  end.session.disconnect();
  for (int round = 0; round < 3; ++round) {
    end.recycle_everything();
    bool cuts_power = round == 1;
    end.restart(cuts_power);
    REQUIRE(end.session.connect().empty());
    CHECK(end.session.terms.session == id);
    CHECK(end.session.acknowledged == Seq{2});
    CHECK(end.session.terms.durable_bytes == 6);
    CHECK(end.session.terms.durable_messages == 2);
    end.session.disconnect();
  }
  CHECK(end.log_text() == "one\ntwo\n");
  REQUIRE(end.session.connect().empty());
  end.send("three");
  end.run(20ms);
  CHECK(end.log_text() == "one\ntwo\nthree\n");
}

TEST_CASE("store: refusals that were not heard yet are carried forward, too") {
  OpenStore end;
  end.session.disconnect();
  SessionEnd small(end, "db-1");
  small.message_size_max = 10;
  REQUIRE(small.connect().empty());
  small.send("this is too large");
  end.sync();
  CHECK(small.refused.size() == 1);
  small.disconnect();
  end.recycle_everything();
  end.restart(true);
  REQUIRE(small.connect().empty());
  CHECK(small.terms.refusals == std::vector<Refusal>{{ErrorCode::message_too_large, {1}}});
  CHECK(small.acknowledged == Seq{1});
}

TEST_CASE("store: a takeover while the first connection's frames are being synced loses nothing and doubles nothing") {
  OpenStore end;
  SessionEnd second(end);
  end.session.send("a");
  end.store->flush();
  end.session.send("b");  // in the batch after it
  second.syn = end.session.syn;
  REQUIRE(second.connect().empty());
  CHECK(end.session.entry == nullptr);
  CHECK(second.acknowledged == Seq{0});
  // It sends again what it was not told of; what it has not sent before follows.
  second.receive(join({data(1, "a"), data(2, "b"), data(3, "c")}));
  end.sync();
  CHECK(end.session.acknowledged == Seq{0});  // fenced: it hears nothing any more
  CHECK(second.acknowledged == Seq{3});
  end.run(20ms);
  CHECK(end.log_text() == "a\nb\nc\n");
  second.lose_server();
  end.restart();
  end.run(20ms);
  CHECK(end.log_text() == "a\nb\nc\n");
}

TEST_CASE("store: a takeover is remembered over a kill once something of it is durable") {
  OpenStore end;
  end.send("a");
  SessionEnd second(end);
  second.syn = end.session.syn;
  REQUIRE(second.connect().empty());
  second.send("b");
  end.sync();
  second.lose_server();
  end.restart();
  SessionEnd third(end);
  third.syn = second.syn;
  REQUIRE(third.connect().empty());
  CHECK(third.acknowledged == Seq{2});
}

TEST_CASE("store: a session that was forgotten is not known any more, in this life and the next") {
  OpenStore end;
  end.send("hello");
  end.session.forget();
  CHECK(end.session.connect() == "unknown_session");
  end.sync();
  bool cuts_power = false;
  SUBCASE("at rest") { end.rest(); }
  SUBCASE("before a checkpoint") {}
  SUBCASE("with a power cut") { cuts_power = true; }
  end.restart(cuts_power);
  CHECK(end.session.connect() == "unknown_session");
  end.rest();
  CHECK(end.log_text() == "hello\n");
  CHECK(end.store->registry().size() == 0);
}

TEST_CASE("store: messages of a session that was forgotten at once are delivered all the same") {
  OpenStore end;
  end.session.send("hello");
  end.session.forget();
  end.sync();
  end.restart(true);
  end.run(2s);
  CHECK(end.log_text() == "hello\n");
}

TEST_CASE("store: a session of which nothing was recorded goes with its connection") {
  OpenStore end;
  end.session.disconnect();
  CHECK(end.store->registry().size() == 0);
  CHECK(end.session.connect() == "unknown_session");
}

TEST_CASE("store: a session of another store is told so") {
  OpenStore end;
  end.send("hello");
  end.session.disconnect();
  StoreEnd other(2);
  other.world.draw_id = [] { return id_of(0x33); };
  REQUIRE(other.open().empty());
  SessionEnd elsewhere(other);
  elsewhere.syn = end.session.syn;
  CHECK(elsewhere.connect() == "other_store");
}

TEST_CASE("store: a store that lost what it acknowledged is told so") {
  OpenStore end;
  end.send("hello");
  end.session.disconnect();
  end.session.syn.resume->acknowledged = {7};
  CHECK(end.session.connect() == "store_behind");
}

TEST_CASE("store: a new store gets an id that stays") {
  StoreEnd end;
  REQUIRE(end.open().empty());
  const StoreId id = end.store->id();
  CHECK(end.log.contains("created a new store in /store"));
  end.cut_power(Loss::everything);
  REQUIRE(end.open().empty());
  CHECK(end.store->id() == id);
  CHECK(end.log.count("created") == 1);
}

TEST_CASE("store: a crash at any operation of its creation leaves nothing or a store") {
  for (const bool cuts_power : {false, true}) {
    bool is_through = false;
    for (std::uint64_t operations = 0; !is_through; ++operations) {
      CAPTURE(operations);
      StoreEnd end(operations);
      end.options.segment_size = 16 * kBlockSize;
      end.disk.crash_after(operations);
      try {
        const std::string trouble = end.open();
        REQUIRE(trouble.empty());
        is_through = true;
      } catch (const ProcessDied&) {
      }
      cuts_power ? end.cut_power() : end.kill();
      REQUIRE(end.open().empty());
      SessionEnd session(end);
      REQUIRE(session.connect().empty());
      session.send("hello");
      end.sync();
      session.lose_server();
      end.cut_power(Loss::everything);
      REQUIRE(end.open().empty());
      REQUIRE(session.connect().empty());
      CHECK(session.acknowledged == Seq{1});
    }
  }
}

TEST_CASE("store: one of a newer format is not touched") {
  OpenStore end;
  end.send("hello");
  end.session.lose_server();
  end.kill();
  Bytes identity = encode_file_header(FileFormat::store, id_of(1), 0, 0);
  store_be(&identity[8], kStoreFormat + 1);
  store_be(&identity[60], crc32(0, ByteView(identity).first(60)));
  end.disk.write_file("/store/store", identity);
  const std::uint64_t operations = end.disk.operations();
  auto opened = JournalStore::open(end.disk, end.options, end.world, end.log);
  const StoreProblem* problem = std::get_if<StoreProblem>(&opened);
  REQUIRE(problem != nullptr);
  CHECK(problem->is_newer);
  CHECK(end.disk.operations() - operations <= 4);
}

// --- trouble ---

TEST_CASE("store: while the disk fails nothing is acknowledged and nobody may send, and then all goes on") {
  OpenStore end;
  end.send("a");
  int error = 0;
  FileOp::Kind kind = FileOp::Kind::sync_data;
  SUBCASE("EIO of a sync") { error = EIO; }
  SUBCASE("EIO of a write") {
    error = EIO;
    kind = FileOp::Kind::write;
  }
  SUBCASE("ENOSPC of a write") {
    error = ENOSPC;
    kind = FileOp::Kind::write;
  }
  const ErrorCode code = error == ENOSPC ? ErrorCode::disk_full : ErrorCode::disk_failed;
  bool on_room = false;
  end.store->set_on_room([&] { on_room = true; });
  end.disk.fault = [&](const FileOp& op, const std::string& path) {
    return op.kind == kind && path.starts_with("/store/journal") ? error : 0;
  };
  end.session.send("b");
  end.run(50ms);
  CHECK(end.session.acknowledged == Seq{1});
  REQUIRE(end.store->trouble() != nullptr);
  CHECK(end.store->trouble()->code == code);
  CHECK(end.store->trouble()->retry_after_ms > 0);
  CHECK(end.store->room() == 0);
  CHECK(end.session.troubles == std::vector<ErrorCode>{code});
  end.run(12s);
  CHECK(end.log.count("senders wait") == 1);
  CHECK(end.session.acknowledged == Seq{1});
  error = 0;
  on_room = false;
  end.run(6s);
  CHECK(end.store->trouble() == nullptr);
  CHECK(on_room);
  CHECK(end.session.acknowledged == Seq{2});
  CHECK(end.log_text() == "a\nb\n");
  end.send("c");
  end.restart(true);
  end.run(2s);
  CHECK(end.log_text() == "a\nb\nc\n");
}

TEST_CASE("store: a full disk is said to be full") {
  OpenStore end;
  bool is_full = true;
  end.disk.fault = [&](const FileOp& op, const std::string& path) {
    const bool is_ours = path.starts_with("/store/journal");
    return is_full && is_ours && (op.kind == FileOp::Kind::write || op.kind == FileOp::Kind::zero_fill) ? ENOSPC : 0;
  };
  end.session.send("a");
  end.run(50ms);
  REQUIRE(end.store->trouble() != nullptr);
  CHECK(end.store->trouble()->code == ErrorCode::disk_full);
}

TEST_CASE("store: a crash while the disk fails loses nothing that was acknowledged") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    CAPTURE(seed);
    OpenStore end(seed);
    end.send("a");
    bool is_bad = true;
    end.disk.fault = [&](const FileOp& op, const std::string& path) {
      return is_bad && op.kind == FileOp::Kind::sync_data && path.starts_with("/store/journal") ? EIO : 0;
    };
    end.session.send("b");
    end.run(50ms);
    is_bad = false;
    end.restart(seed % 2 == 0);
    end.run(2s);
    REQUIRE(end.session.connect().empty());
    CHECK(end.session.acknowledged >= Seq{1});
    CHECK(end.log_text() == (end.session.acknowledged == Seq{2} ? "a\nb\n" : "a\n"));
  }
}

TEST_CASE("store: what cannot be opened is a sentence with its reason") {
  StoreEnd end;
  end.disk.fault = [](const FileOp& op, const std::string&) { return op.kind == FileOp::Kind::create ? EROFS : 0; };
  const std::string trouble = end.open();
  CHECK(trouble.find("/store") != std::string::npos);
  CHECK(trouble.find("Read-only file system") != std::string::npos);
}

TEST_CASE("store: an inbox elsewhere is served like the one inside") {
  StoreEnd end;
  end.disk.make_directories("/mail");
  end.options.inbox = "/mail/inbox";
  REQUIRE(end.open().empty());
  SessionEnd session(end);
  REQUIRE(session.connect().empty());
  session.send("a");
  end.sync();
  session.lose_server();
  end.cut_power(Loss::everything);
  REQUIRE(end.open().empty());
  end.run(2s);
  CHECK(as_text(end.disk.read_file("/mail/inbox/web-1/messages.log")) == "a\n");
  CHECK(end.disk.exists("/mail/inbox/.cproto"));
}

// --- what no client comes back for ---

namespace {

constexpr Duration kDay = 24h;

struct Forgetful : OpenStore {
  Forgetful() {
    options.forget = {30 * kDay, 365 * kDay};
    store->set_options(options);
  }
  // Days in which the daemon is started anew now and then.
  void pass(int days, bool restarts = true) {
    for (int day = 0; day < days; ++day) {
      run(kDay);
      if (!restarts || day % 10 != 9) continue;
      session.lose_server();
      if (day % 20 == 9) {
        kill();
      } else {
        rest();
        close();
      }
      REQUIRE(open().empty());
    }
  }
  std::size_t parts() const { return disk.list_directory("/store/partial").size(); }
};

}  // namespace

TEST_CASE("store: a half-sent message that no client came back for is let go after so many days, and its client told") {
  for (const bool restarts : {false, true}) {
    Forgetful end;
    end.send("whole");
    for (int i = 0; i < 10; ++i) {
      end.session.send_fragment(std::string(3'000, 'x'));
      end.sync();
      end.run(20ms);
    }
    end.rest();
    CHECK(end.parts() == 1);
    end.session.disconnect();
    end.pass(29, restarts);
    CHECK(end.store->registry().all().begin()->second->durable.message.is_refused == false);
    end.pass(3, restarts);
    CHECK(end.log.count("a message was refused (message_forgotten)") == 1);
    CHECK(end.store->counters().refused.at(ErrorCode::message_forgotten) == 1);
    end.rest();
    CHECK(end.parts() == 0);
    if (restarts) {
      end.close();
      REQUIRE(end.open().empty());
    }
    REQUIRE(end.session.connect().empty());
    REQUIRE(end.session.terms.refusals.size() == 1);
    CHECK(end.session.terms.refusals[0] == Refusal{ErrorCode::message_forgotten, {2}});
    end.session.send("its end");  // what comes of it is thrown away
    end.send("another");
    end.run(1s);
    CHECK(end.log_text() == "whole\nanother\n");
  }
}

TEST_CASE("store: a half-sent file that no client came back for is let go, and its part removed") {
  Forgetful end;
  SessionEnd files(end, "web-2", "messages", MessageKind::file);
  REQUIRE(files.connect().empty());
  files.begin_file({"large.img", {}, {}, {}});
  for (int i = 0; i < 10; ++i) files.send_fragment(std::string(64 * 1024, 'x'));
  end.run(2s);
  CHECK(end.parts() == 1);
  files.disconnect();
  end.pass(32);
  end.rest();
  CHECK(end.parts() == 0);
  REQUIRE(files.connect().empty());
  REQUIRE(files.terms.refusals.size() == 1);
  CHECK(files.terms.refusals[0].code == ErrorCode::message_forgotten);
  files.send_fragment("more of it");
  files.send("");
  files.send_file({"next", {}, {}, {}}, as_bytes("content"));
  end.run(2s);
  CHECK(end.disk.exists("/store/inbox/web-2/files/next"));
  CHECK_FALSE(end.disk.exists("/store/inbox/web-2/files/large.img"));
}

TEST_CASE("store: a session that no client came back for is let go after so many days, across restarts") {
  Forgetful end;
  end.send("hello");
  end.session.disconnect();
  end.pass(360);
  CHECK(end.store->registry().size() == 1);
  CHECK(end.session.connect().empty());
  end.session.disconnect();
  end.pass(360);
  CHECK(end.store->registry().size() == 1);
  end.pass(10);
  end.rest();
  CHECK(end.store->registry().size() == 0);
  CHECK(end.log.count("is forgotten, at 1 message: its client did not come back for 365 d") == 1);
  CHECK(end.session.connect() == "unknown_session");
}

TEST_CASE("store: a client that is there without sending is not forgotten, whatever happens to the daemon") {
  Forgetful end;
  end.send("hello");
  for (int i = 0; i < 40; ++i) {
    end.run(10 * kDay);
    end.session.lose_server();
    end.kill();
    REQUIRE(end.open().empty());
    REQUIRE(end.session.connect().empty());
  }
  CHECK(end.store->registry().size() == 1);
}

TEST_CASE("store: days in which the daemon did not run do not count") {
  Forgetful end;
  end.send("hello");
  end.rest();
  end.session.lose_server();
  end.close();
  end.disk.advance_to(end.disk.now() + 1'000 * kDay);
  REQUIRE(end.open().empty());
  end.pass(2);
  CHECK(end.store->registry().size() == 1);
}

TEST_CASE("store: while a mark is carried from segment to segment its age goes with it") {
  Forgetful end;
  end.send("hello");
  end.session.disconnect();
  end.pass(200);
  end.recycle_everything();
  end.pass(160);
  end.recycle_everything();
  end.pass(10);
  const auto& sessions = end.store->registry().all();
  CHECK(std::none_of(sessions.begin(), sessions.end(),
                     [](const auto& session) { return session.second->client_id == "web-1"; }));
}

TEST_CASE("store: senders that are not read for long are said, and how often") {
  OpenStore end;
  end.run(2s);
  end.disk.latency = [](const Job&) { return Duration(60s); };
  for (int i = 0; i < 20 && end.store->room() > 0; ++i) {
    end.session.send(std::string(3'000, 'x'));
    end.store->flush();
  }
  REQUIRE(end.store->room() == 0);
  end.run(30s);
  CHECK(end.log.count("senders are not read for 2 s") == 1);
  CHECK(end.store->counters().holds >= 1);
  CHECK(end.store->held_bytes() > 0);
}

TEST_CASE("store: unfinished messages of many sessions go to parts before they take too much memory") {
  StoreEnd end;
  end.options.memory = 1u << 20;  // an eighth for them
  REQUIRE(end.open().empty());
  std::vector<std::unique_ptr<SessionEnd>> sessions;
  for (int i = 0; i < 40; ++i) {
    sessions.push_back(std::make_unique<SessionEnd>(end, "web-" + std::to_string(i)));
    REQUIRE(sessions.back()->connect().empty());
    for (int part = 0; part < 5; ++part) sessions.back()->send_fragment(std::string(4'000, 'x'));
    end.sync();
    end.run(20ms);
  }
  CHECK(end.store->delivery().held_bytes() <= (1u << 20) / 4);
  for (const auto& session : sessions) session->send("end");
  end.run(2s);
  for (int i = 0; i < 40; ++i) CHECK(end.log_text("web-" + std::to_string(i)).size() == 5 * 4'000 + 4);
  end.rest();
  CHECK(end.store->held_bytes() == 0);
}
