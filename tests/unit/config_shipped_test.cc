// config/cproto.toml, the file that is installed as /etc/cproto.toml, against the schema and the defaults.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "config/loader.h"
#include "config/print.h"
#include "config/schema.h"

namespace cproto {
namespace {

std::vector<std::string> lines_of(std::istream&& in) {
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> shipped_lines() {
  const auto root = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  std::vector<std::string> lines = lines_of(std::ifstream(root / "config" / "cproto.toml"));
  REQUIRE_FALSE(lines.empty());
  return lines;
}

// A value that is commented out begins right behind the "#", a comment for people behind "# ".
bool is_key(const std::string& line) { return line.size() > 1 && line[0] == '#' && line[1] != ' '; }

std::string uncommented(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text.append(is_key(line) ? line.substr(1) : line).append("\n");
  return text;
}

// The comment lines above each key: "listen.port" -> ["..."]. A key without one has that of the key above.
std::map<std::string, std::vector<std::string>> comments_by_key() {
  std::map<std::string, std::vector<std::string>> comments;
  std::vector<std::string> above;
  std::string section;
  bool after_key = false;
  for (const std::string& line : shipped_lines()) {
    if (is_key(line)) {
      comments[section + "." + line.substr(1, line.find(' ') - 1)] = above;
    } else {
      if (after_key || line.empty()) above.clear();
      if (line.starts_with('[')) section = line.substr(1, line.size() - 2);
      if (line.starts_with('#')) above.push_back(line);
    }
    after_key = is_key(line);
  }
  return comments;
}

TEST_CASE("config: the shipped file as it is means the defaults") {
  std::string text;
  for (const std::string& line : shipped_lines()) {
    CHECK((line.empty() || line[0] == '#' || line[0] == '['));
    text += line + "\n";
  }
  const LoadResult result = load_text(text, "cproto.toml");
  CHECK(result.errors == std::vector<std::string>{});
  CHECK(result.config == Config{});
}

TEST_CASE("config: the shipped file shows each key at its default") {
  const LoadResult all = load_text(uncommented(shipped_lines()), "cproto.toml");
  CHECK(all.errors == std::vector<std::string>{});
  CHECK(all.config == Config{});

  std::string section;
  for (const std::string& line : shipped_lines()) {
    if (line.starts_with('[')) section = line;
    if (!is_key(line)) continue;
    CAPTURE(line);
    const LoadResult one = load_text(section + "\n" + line.substr(1) + "\n", "cproto.toml");
    CHECK(one.errors == std::vector<std::string>{});
    CHECK(one.config == Config{});
  }
}

TEST_CASE("config: the shipped file has every key, with its documentation and its [R]") {
  auto comments = comments_by_key();
  std::string doc;
  for (const config::Key& key : config::keys()) {
    CAPTURE(key.path());
    if (!key.doc.empty()) doc = "# " + std::string(key.doc) + (key.change == config::Change::by_restart ? " [R]" : "");
    REQUIRE(comments.contains(key.path()));
    REQUIRE_FALSE(comments[key.path()].empty());
    CHECK(comments[key.path()].back() == doc);
    comments.erase(key.path());
  }
  CHECK(comments.empty());
}

TEST_CASE("config: the shipped file is what --print-config prints of the defaults, commented out") {
  const std::string shipped = uncommented(shipped_lines());
  const std::string printed = print(Config{});
  CHECK(shipped.substr(shipped.find("\n\n[")) == printed.substr(printed.find("\n\n[")));
}

}  // namespace
}  // namespace cproto
