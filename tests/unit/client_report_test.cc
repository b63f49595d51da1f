#include "client/report.h"

#include <doctest/doctest.h>

#include "client/tracer.h"
#include "proto/frame.h"
#include "tests/support/frames.h"

using namespace cproto;
using namespace cproto::client;

namespace {

constexpr Noun kLines{"line", "lines"};

Outcome an_outcome() {
  Outcome outcome;
  outcome.where = "logs:7780 (192.0.2.7)";
  outcome.congestion.name = "cubic";
  outcome.retransmitted = 1;
  outcome.lasted = 2s;
  return outcome;
}

}  // namespace

TEST_CASE("report: how much is durable, of what is known") {
  Tally tally;
  CHECK(durable_clause(tally, std::nullopt, kLines) == "0 lines are");
  tally.read = tally.durable = 1;
  CHECK(durable_clause(tally, std::nullopt, kLines) == "1 line is");
  tally.read = 82000;
  tally.durable = 81004;
  CHECK(durable_clause(tally, std::nullopt, kLines) == "81,004 of the 82,000 lines read are");
  CHECK(durable_clause(tally, 100000, kLines) == "81,004 of 100,000 lines are");
}

TEST_CASE("report: the summary has messages, bytes, seconds, retransmitted, reconnects and congestion control") {
  Tally tally;
  tally.durable = 81004;
  tally.durable_bytes = 8u << 20;
  CHECK(summary(an_outcome(), tally, kLines) ==
        "81,004 lines (8 MiB) durable on logs:7780 (192.0.2.7) in 2 s (4 MiB/s); 1 frame retransmitted, 0 reconnects, "
        "cubic");
}

TEST_CASE("report: JSON names every cause and what was refused") {
  Tally tally;
  tally.read = 3;
  tally.durable = 1;
  tally.refused = 1;
  tally.refused_named = {{"line 2", "larger than \"64\" MiB"}};
  tally.problems = {{Status::no_input, "x: missing"}};
  Outcome outcome = an_outcome();
  outcome.causes.add(Status::no_input);
  outcome.causes.add(Status::data_error);
  Options options;
  options.client_id = "web-1";
  const std::string expected =
      R"json({"status":65,"causes":[65,66],"server":"logs:7780 (192.0.2.7)","client_id":"web-1","channel":"messages",)json"
      R"json("messages":3,"durable":1,"bytes":0,"refused":1,"losses":0,"lost_bytes":0,)json"
      R"json("refused_first":[{"name":"line 2","reason":"larger than \"64\" MiB"}],"problems":["x: missing"],)json"
      R"json("seconds":2.000000,"retransmitted":1,"reconnects":0,"congestion_control":"cubic"})json"
      "\n";
  CHECK(json_report(outcome, tally, options) == expected);
}

TEST_CASE("report: a congestion control that is refused is told with what would allow it") {
  Outcome outcome = an_outcome();
  outcome.congestion = {"cubic", "bbr", "sysctl -w this=\"a b\""};
  CHECK(summary(outcome, {}, kLines).ends_with(", cubic (bbr is refused; to allow it: sysctl -w this=\"a b\")"));
  CHECK(json_report(outcome, {}, {})
            .ends_with(R"json("congestion_control":"cubic","congestion_control_refused":"bbr",)json"
                       R"json("congestion_control_remedy":"sysctl -w this=\"a b\""})json"
                       "\n"));
}

TEST_CASE("report: --check says what was found") {
  Outcome outcome = an_outcome();
  outcome.round_trip = 310us;
  outcome.terms = cproto::test::some_terms();
  outcome.terms->software = "cprotod 0.1.0";
  outcome.terms->store = Id128{0x9f, 0x3c, 0x12, 0xab};
  outcome.terms->window_size = 32767;
  outcome.terms->max_packet_size = 65536;
  outcome.terms->message_size_max = 64u << 20;
  outcome.terms->keep_alive_ms = 20000;
  CHECK(check_report(outcome) ==
        "logs:7780 (192.0.2.7): cprotod 0.1.0, protocol version 1, store 9f3c12ab\n"
        "mode burst, window 32,767 frames, packets to 64KiB, messages to 64MiB, keep-alive 20s, durability fsync\n"
        "round trip 0.31 ms, congestion control cubic\n");
}

TEST_CASE("trace: one line a frame with an arrow, when its last byte is there") {
  Tracer tracer(Instant{});
  const Bytes frames = cproto::test::join({cproto::test::data(1, "hello"), cproto::test::data(2, "")});
  const ByteView view = frames;
  CHECK(tracer.sent(Instant{} + 1500ms, view.first(10)).empty());
  CHECK(tracer.sent(Instant{} + 1500ms, view.subspan(10)) == "  1.500000 -> DATA 1, 5 B\n  1.500000 -> DATA 2, 0 B\n");
  CHECK(tracer.received(Instant{} + 2s, cproto::test::keep_alive(KeepAlive::ask)) == "  2.000000 <- KEEP-ALIVE ask\n");
}
