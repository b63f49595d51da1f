#include "daemon/log_event.h"

#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <set>
#include <string>

using namespace cproto;

namespace {

// The pages of the catalog: id and text.
std::map<std::string, std::string> catalog() {
  std::map<std::string, std::string> pages;
  std::ifstream file(CPROTO_SOURCE_DIR "/systemd/cprotod.catalog");
  REQUIRE(file);
  std::string id;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("-- "))
      REQUIRE(pages.emplace(id = line.substr(3), "").second);
    else if (!id.empty())
      pages[id] += line + "\n";
  }
  return pages;
}

std::set<std::string> ids() {
  std::set<std::string> ids;
  for (auto i = 1; i <= static_cast<int>(LogEvent::stream_works); ++i) {
    const std::string id(message_id(static_cast<LogEvent>(i)));
    CHECK(id.size() == 32);
    CHECK(id.find_first_not_of("0123456789abcdef") == std::string::npos);
    CHECK(ids.insert(id).second);
  }
  return ids;
}

}  // namespace

TEST_CASE("log event: a line without one has no id") { CHECK(message_id(LogEvent::none).empty()); }

TEST_CASE("log event: each has an id of its own and a page in the catalog, and there are no other pages") {
  std::set<std::string> pages;
  for (const auto& [id, text] : catalog()) pages.insert(id);
  CHECK(pages == ids());
}

TEST_CASE("log event: a page says what happened, who says so, and more") {
  for (const auto& page : catalog()) {
    const std::string& text = page.second;
    CAPTURE(page.first);
    CHECK(text.starts_with("Subject: "));
    CHECK(text.find("\nDefined-By: cprotod\n") != std::string::npos);
    CHECK(text.find("\n\n") + 24 < text.size());
  }
}

TEST_CASE("log event: ids that were released do not change") {
  CHECK(message_id(LogEvent::listening) == "956fd5577b5e43e48265e3e423adef53");
  CHECK(message_id(LogEvent::session_ended) == "9dec150a54a442e2b42cdbc09478e953");
}
