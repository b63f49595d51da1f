#include "daemon/operator.h"

#include <doctest/doctest.h>

#include <sstream>
#include <string>
#include <vector>

#include "daemon/exit_status.h"
#include "daemon/session_name.h"
#include "tests/support/store_end.h"

using namespace cproto;
using namespace cproto::test;

namespace {

struct Office {
  Office() { REQUIRE(end.open().empty()); }

  // What the daemon answers, once it does.
  Reply ask(const std::string& words) {
    Request request;
    std::istringstream in(words);
    for (std::string word; in >> word;) request.words.push_back(word);
    Reply reply{-1, "no answer"};
    Operator desk(*end.store, end.log,
                  {[this] { return DaemonView{end.disk.now(), Instant{}, *end.store, counters, 0, "", "", false}; },
                   [] {
                     return Reply{78, "not reloaded\n"};
                   },
                   [this](Answer answer) { drained = std::move(answer); }});
    desk.handle(request, [&](const Reply& given) { reply = given; });
    end.disk.drain();
    return reply;
  }

  StoreEnd end;
  PeerCounters counters;
  Answer drained;
};

}  // namespace

TEST_CASE("operator: what is no command is a usage error") {
  Office office;
  for (const char* words : {"", "bogus", "why", "kick", "forget", "why a b"})
    CHECK(office.ask(words).status == exit_status::kUsage);
}

TEST_CASE("operator: questions are answered with 0, with --json for programs") {
  Office office;
  for (const char* words : {"status", "sessions", "sessions --unfinished", "why web-1", "metrics"})
    CHECK(office.ask(words).status == 0);
  CHECK(office.ask("--json sessions").text == "[]\n");
  CHECK(office.ask("--json status").text.starts_with("{"));
}

TEST_CASE("operator: a verdict is passed on, and draining answers when it is over") {
  Office office;
  CHECK(office.ask("reload").status == 78);
  CHECK(office.ask("drain").status == -1);
  CHECK(office.drained);
}

TEST_CASE("operator: a client is kicked by its name, a session by its own, and the log says by whom") {
  Office office;
  SessionEnd first(office.end);
  SessionEnd second(office.end);
  SessionEnd other(office.end, "web-2");
  for (SessionEnd* session : {&first, &second, &other}) REQUIRE(session->connect().empty());
  CHECK(office.ask("kick " + short_name(first.terms.session)).status == 0);
  CHECK(first.was_kicked);
  CHECK_FALSE(second.was_kicked);
  CHECK(office.ask("kick web-1").status == 0);
  CHECK(second.was_kicked);
  CHECK_FALSE(other.was_kicked);
  CHECK(office.end.log.contains("is sent away (cprotoctl, uid 0)"));
  CHECK(office.ask("kick nobody").text == "no client or session is called nobody\n");
  CHECK(office.ask("kick nobody").status == exit_status::kUsage);
}

TEST_CASE("operator: a session without a connection is forgotten for good") {
  Office office;
  SessionEnd session(office.end);
  REQUIRE(session.connect().empty());
  session.send("one");
  office.end.sync();
  const std::string name = short_name(session.terms.session);
  CHECK(office.ask("forget " + name).text ==
        "session " + name + " has a connection; first: cprotoctl kick " + name + "\n");
  session.disconnect();
  CHECK(office.ask("forget web-1").status == exit_status::kUsage);
  CHECK(office.ask("forget " + name).status == 0);
  office.end.rest();
  CHECK(session.connect() == "unknown_session");
  office.end.close();
  REQUIRE(office.end.open().empty());
  CHECK(session.connect() == "unknown_session");
}

TEST_CASE("operator: verify reads every batch of a running store, and finds a flipped bit") {
  Office office;
  SessionEnd session(office.end);
  REQUIRE(session.connect().empty());
  for (int i = 0; i < 3; ++i) {
    session.send("message");
    office.end.sync();
  }
  const Reply whole = office.ask("verify");
  CHECK(whole.status == 0);
  CHECK(whole.text.find("every checksum agrees") != std::string::npos);
  const BatchPlace& batch = office.end.store->journal().batches().front();
  office.end.disk.flip(segment_path("/store/journal", batch.segment), batch.offset + kBatchHeaderSize + 5);
  const Reply damaged = office.ask("verify");
  CHECK(damaged.status == exit_status::kDataError);
  CHECK(damaged.text.find("batch " + std::to_string(batch.number) + " in segment") != std::string::npos);
}

TEST_CASE("operator: one verification at a time, and the next when it is over") {
  Office office;
  SessionEnd session(office.end);
  REQUIRE(session.connect().empty());
  session.send("message");
  office.end.sync();
  Operator desk(*office.end.store, office.end.log, {});
  std::vector<int> statuses;
  const auto verify = [&] {
    desk.handle({.words = {"verify"}, .user = 0}, [&](const Reply& reply) { statuses.push_back(reply.status); });
  };
  verify();
  verify();
  CHECK(statuses == std::vector<int>{exit_status::kTemporaryFailure});
  office.end.disk.drain();
  CHECK(statuses == std::vector<int>{exit_status::kTemporaryFailure, 0});
  verify();
  office.end.disk.drain();
  CHECK(statuses == std::vector<int>{exit_status::kTemporaryFailure, 0, 0});
}
