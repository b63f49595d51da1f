#include "daemon/journal_entry.h"

#include <doctest/doctest.h>

using namespace cproto;

TEST_CASE("journal entry: a line without anything is a priority and a message") {
  CHECK(journal_entry(Severity::info, LogEvent::none, "listening", {}) == "PRIORITY=6\nMESSAGE=listening\n");
  CHECK(journal_entry(Severity::error, LogEvent::none, "x", {}).starts_with("PRIORITY=3\n"));
  CHECK(journal_entry(Severity::warn, LogEvent::none, "x", {}).starts_with("PRIORITY=4\n"));
  CHECK(journal_entry(Severity::debug, LogEvent::none, "x", {}).starts_with("PRIORITY=7\n"));
}

TEST_CASE("journal entry: each field has its name") {
  const LogFields fields{
      .client = "web-1", .session = "0ab122c1", .peer = "192.0.2.9:51234", .channel = "nginx", .error = "disk_full"};
  CHECK(journal_entry(Severity::info, LogEvent::session_ended, "gone", fields) ==
        "PRIORITY=6\nMESSAGE_ID=" + std::string(message_id(LogEvent::session_ended)) +
            "\nCPROTO_CLIENT=web-1\nCPROTO_SESSION=0ab122c1\nCPROTO_PEER=192.0.2.9:51234\nCPROTO_CHANNEL=nginx\n"
            "CPROTO_ERROR=disk_full\nMESSAGE=gone\n");
}

TEST_CASE("journal entry: a value cannot pass for another field") {
  CHECK(journal_entry(Severity::info, LogEvent::none, "a\nCPROTO_CLIENT=db-1", {.client = "web\n1"}) ==
        "PRIORITY=6\nCPROTO_CLIENT=web 1\nMESSAGE=a CPROTO_CLIENT=db-1\n");
}
