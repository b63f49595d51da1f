#include "daemon/reports.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <memory>
#include <string>

#include "daemon/metrics.h"
#include "daemon/session_name.h"
#include "tests/support/store_end.h"

using namespace cproto;
using namespace cproto::test;

namespace {

struct Desk {
  Desk() {
    REQUIRE(end.open().empty());
    began = end.disk.now();
  }
  DaemonView view() {
    return {end.disk.now(), began, *end.store, counters, connections, "127.0.0.1:7780", trouble, false};
  }
  std::string why(const std::string& client) { return why_report(view(), client, Form::text); }
  std::string sessions(const SessionFilter& filter = {}) { return sessions_report(view(), filter, Form::text); }

  StoreEnd end;
  PeerCounters counters;
  std::size_t connections = 0;
  std::string trouble;
  Instant began;
};

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("why: of a client that was never here") {
  Desk desk;
  desk.end.run(90s);
  CHECK(
      desk.why("web-1") ==
      "web-1 has no session here: it has not connected since cprotod started 90 s ago, or all it began is finished\n");
}

TEST_CASE("why: of one that sent everything and says nothing") {
  Desk desk;
  SessionEnd session(desk.end);
  REQUIRE(session.connect().empty());
  session.send("one");
  desk.end.sync();
  CHECK(desk.why("web-1").starts_with("web-1 (session " + short_name(session.terms.session) +
                                      ", 192.0.2.9:51234) waits for nothing: all it sent is durable (1 message)"));
}

TEST_CASE("why: of one whose messages are on their way to the disk") {
  Desk desk;
  SessionEnd session(desk.end);
  REQUIRE(session.connect().empty());
  session.send("one");
  desk.end.store->flush();
  CHECK(contains(desk.why("web-1"), "what it sent is on its way; 1 frame is received and not durable"));
  desk.trouble = "fdatasync on /store/journal has not returned for 12 s; nothing is acknowledged until it does";
  CHECK(contains(desk.why("web-1"), "waits: fdatasync on /store/journal has not returned for 12 s"));
}

TEST_CASE("why: of one that has sent half a message") {
  Desk desk;
  SessionEnd session(desk.end);
  REQUIRE(session.connect().empty());
  session.send_fragment(std::string(2048, 'x'));
  desk.end.sync();
  CHECK(contains(desk.why("web-1"), "has to send the rest of a message: 2 KiB of it are durable"));
}

TEST_CASE("why: of one whose log cannot be written") {
  Desk desk;
  SessionEnd session(desk.end);
  REQUIRE(session.connect().empty());
  desk.end.disk.fault = [](const FileOp& op, const std::string& path) {
    return op.kind == FileOp::Kind::open_or_create && path.ends_with("messages.log") ? EACCES : 0;
  };
  session.send("one");
  desk.end.sync();
  desk.end.run(1s);
  CHECK(contains(desk.why("web-1"), "/store/inbox/web-1/messages.log cannot be written (Permission denied)"));
  CHECK(contains(metrics_text(desk.view()), "\ncproto_inbox_logs_blocked 1\n"));
}

TEST_CASE("why: of one that went away, with what it left") {
  Desk desk;
  SessionEnd session(desk.end);
  REQUIRE(session.connect().empty());
  session.send("one");
  desk.end.sync();
  session.entry->left_at = desk.end.disk.now();
  session.entry->last_error = ErrorCode::peer_silent;
  session.disconnect();
  desk.end.run(5min);
  CHECK(contains(desk.why("web-1"),
                 "web-1 is not connected: its last connection ended 5 min ago (peer_silent); session "));
  CHECK(contains(desk.why("web-1"), " stands at 1 message, and goes on when it comes back"));
}

TEST_CASE("why: of one that has not been back since the start") {
  Desk desk;
  {
    SessionEnd session(desk.end);
    REQUIRE(session.connect().empty());
    session.send("one");
    desk.end.sync();
    session.lose_server();
  }
  desk.end.close();
  REQUIRE(desk.end.open().empty());
  desk.began = desk.end.disk.now();
  desk.end.run(3s);
  CHECK(contains(desk.why("web-1"), "it has not come back since cprotod started 3 s ago"));
}

TEST_CASE("why: of one that was refused") {
  Desk desk;
  desk.counters.last_refused.note(desk.end.disk.now(), "web-1", ErrorCode::unknown_session, "192.0.2.7:99");
  desk.end.run(10s);
  CHECK(desk.why("web-1") ==
        "web-1 is refused: unknown_session, no such session here (last tried 10 s ago, from 192.0.2.7:99)\n");
}

TEST_CASE("why: for programs it is an object") {
  Desk desk;
  CHECK(why_report(desk.view(), "web-1", Form::json)
            .starts_with(R"({"client":"web-1","why":"web-1 has no session here)"));
}

TEST_CASE("sessions: a line each, by client; finished ones are not among them") {
  Desk desk;
  SessionEnd second(desk.end, "web-2");
  SessionEnd first(desk.end, "web-1", "nginx");
  SessionEnd gone(desk.end, "web-0");
  for (SessionEnd* session : {&second, &first, &gone}) REQUIRE(session->connect().empty());
  for (SessionEnd* session : {&second, &first, &gone}) session->send("x");
  desk.end.sync();
  gone.forget();
  const std::string text = desk.sessions();
  CHECK_FALSE(contains(text, "web-0"));
  CHECK(text.find("\nweb-1") < text.find("\nweb-2"));
  CHECK(contains(text, "nginx"));
  CHECK(contains(text, "connected"));
  CHECK_FALSE(contains(desk.sessions({"web-2"}), "web-1"));
  CHECK(desk.sessions({"nobody"}) == "no sessions\n");
}

TEST_CASE("sessions: the unfinished ones, with their size") {
  Desk desk;
  SessionEnd whole(desk.end, "web-1");
  SessionEnd half(desk.end, "web-2");
  for (SessionEnd* session : {&whole, &half}) REQUIRE(session->connect().empty());
  whole.send("x");
  half.send_fragment(std::string(4096, 'x'));
  desk.end.sync();
  const std::string text = desk.sessions({"", true});
  CHECK_FALSE(contains(text, "web-1"));
  CHECK(contains(text, "4 KiB"));
  CHECK(contains(sessions_report(desk.view(), {"", true}, Form::json), "\"unfinished\":4096"));
}

TEST_CASE("status: it says how it does, in words and for programs") {
  Desk desk;
  desk.connections = 3;
  CHECK(status_report(desk.view(), Form::text).starts_with("state        well\n"));
  CHECK(contains(status_report(desk.view(), Form::json), "\"connections\":3,"));
  desk.trouble = "no disk";
  CHECK(status_report(desk.view(), Form::text).starts_with("state        no disk\n"));
}

TEST_CASE("metrics: each family has help and a type before its samples, and samples are numbers") {
  Desk desk;
  SessionEnd session(desk.end);
  REQUIRE(session.connect().empty());
  session.send("one");
  desk.end.rest();
  const std::string text = metrics_text(desk.view());
  std::string family;
  for (std::size_t at = 0; at < text.size();) {
    const std::string line = text.substr(at, text.find('\n', at) - at);
    at += line.size() + 1;
    CAPTURE(line);
    if (line.starts_with("# HELP ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
    } else if (line.starts_with("# TYPE ")) {
      CHECK(line.starts_with("# TYPE " + family + " "));
    } else {
      CHECK(line.starts_with(family));
      std::size_t used = 0;
      const std::string value = line.substr(line.rfind(' ') + 1);
      std::stod(value, &used);
      CHECK(used == value.size());
    }
  }
}

TEST_CASE("metrics: batches and syncs are counted, refusals by code") {
  Desk desk;
  SessionEnd session(desk.end);
  REQUIRE(session.connect().empty());
  session.send("one");
  desk.end.rest();
  desk.counters.refused[ErrorCode::disk_full] = 7;
  const std::string text = metrics_text(desk.view());
  const std::string batches = std::to_string(desk.end.store->counters().batch_bytes.count());
  CHECK(batches != "0");
  CHECK(contains(text, "\ncproto_batch_bytes_count " + batches + "\n"));
  CHECK(contains(text, "\ncproto_fdatasync_seconds_count " + batches + "\n"));
  CHECK(contains(text, "\ncproto_refusals_total{code=\"disk_full\"} 7\n"));
  CHECK(contains(text, "\ncproto_refusals_total{code=\"bad_checksum\"} 0\n"));
  CHECK(contains(text, "\ncproto_sessions 1\n"));
}
