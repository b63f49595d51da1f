#include "client/journal_line.h"

#include <doctest/doctest.h>

#include <string>

using namespace cproto::client;

namespace {

std::string line_of(std::string_view value) {
  JournalLine line;
  line.add("A", value);
  std::string text;
  line.take(text);
  return text;
}

}  // namespace

TEST_CASE("journal line: text is a string, with what JSON wants escaped and nothing else") {
  CHECK(line_of("plain") == R"({"A":"plain"})");
  CHECK(line_of("") == R"({"A":""})");
  CHECK(line_of("\"\\/\n\t") == R"({"A":"\"\\/\n\t"})");
  CHECK(line_of("ü€😀") == R"({"A":"ü€😀"})");
}

TEST_CASE("journal line: what is no text is its bytes") {
  CHECK(line_of("a\x01z") == R"({"A":[97,1,122]})");
  CHECK(line_of("\r") == R"({"A":[13]})");
  CHECK(line_of(std::string_view("\0", 1)) == R"({"A":[0]})");
  CHECK(line_of("\x7f") == R"({"A":[127]})");
  CHECK(line_of("\xff") == R"({"A":[255]})");
}

TEST_CASE("journal line: text is UTF-8 as short as can be, without surrogates, noncharacters and controls") {
  for (const char* good : {"\xc2\xa0", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xf0\x90\x80\x80",
                           "\xf4\x8f\xbf\xbd", "\xef\xbf\xbd", "\xef\xb7\x8f", "\xef\xb7\xb0"})
    CHECK(is_journal_text(good));
  for (const char* bad : {"\x80",
                          "\xc2",
                          "\xc0\x80",
                          "\xc1\xbf",
                          "\xe0\x9f\xbf",
                          "\xf0\x8f\xbf\xbf",
                          "\xed\xa0\x80",
                          "\xed\xbf\xbf",
                          "\xf4\x90\x80\x80",
                          "\xf8\x88\x80\x80\x80",
                          "\xef\xbf\xbe",
                          "\xef\xbf\xbf",
                          "\xf0\x9f\xbf\xbe",
                          "\xef\xb7\x90",
                          "\xef\xb7\xaf",
                          "\xc2\x80",
                          "\xc2\x9f",
                          "\xe2\x82",
                          "\xe2\x28\xa1",
                          "\x1b[0m"})
    CHECK_FALSE(is_journal_text(bad));
}

TEST_CASE("journal line: a field that occurs more than once is an array, where it was first") {
  JournalLine line;
  line.add("A", "1");
  line.add("B", "x");
  line.add("A", "\xff");
  line.add("A", "");
  std::string text = "of before";
  line.take(text);
  CHECK(text == R"({"A":["1",[255],""],"B":"x"})");
  line.add("B", "y");
  line.take(text);
  CHECK(text == R"({"B":"y"})");
}
