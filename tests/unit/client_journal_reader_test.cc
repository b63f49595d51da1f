#include "client/journal_reader.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "client/journal_files.h"
#include "tests/support/system_journal.h"

using namespace cproto;
using namespace cproto::client;
using cproto::test::exported_entry;
using cproto::test::has_system_journals;
using cproto::test::SystemJournal;
using Got = JournalReader::Got;
using Sought = JournalReader::Sought;
using Strings = std::vector<std::string>;

namespace {

void open(JournalReader& reader, const SystemJournal& journal, const Strings& matches = {}) {
  const auto problem = reader.open(journal.directory(), matches);
  REQUIRE_MESSAGE(!problem, problem->sentence);
}

// All that there is from here.
std::vector<JournalEntry> entries_of(JournalReader& reader) {
  std::vector<JournalEntry> entries;
  JournalEntry entry;
  Got got = reader.next(entry);
  for (; got == Got::entry; got = reader.next(entry)) entries.push_back(entry);
  CHECK(got == Got::none);
  return entries;
}

// The value of a field that has one.
std::string value_of(const std::string& line, const std::string& name) {
  const std::string before = "\"" + name + "\":\"";
  const std::size_t at = line.find(before);
  if (at == std::string::npos) return "";
  return line.substr(at + before.size(), line.find('"', at + before.size()) - at - before.size());
}

Strings numbers_of(JournalReader& reader) {
  Strings numbers;
  for (const JournalEntry& entry : entries_of(reader)) numbers.push_back(value_of(entry.line, "NUMBER"));
  return numbers;
}

Strings matching(const SystemJournal& journal, const Strings& matches) {
  JournalReader reader;
  open(reader, journal, matches);
  CHECK(reader.seek_head());
  return numbers_of(reader);
}

std::string why_not(const SystemJournal& journal, const Strings& matches) {
  JournalReader reader;
  const auto problem = reader.open(journal.directory(), matches);
  REQUIRE(problem.has_value());
  CHECK(problem->status == Status::usage);
  return problem->sentence;
}

// The members of a JSON object, each as it is written: their order may differ.
std::multiset<std::string> members_of(const std::string& object) {
  std::multiset<std::string> members;
  std::string member;
  int depth = 0;
  bool in_string = false;
  REQUIRE(object.size() >= 2);
  for (std::size_t i = 1; i + 1 < object.size(); ++i) {
    const char c = object[i];
    if (c == '"') in_string = !in_string;
    if (!in_string) depth += c == '[' ? 1 : c == ']' ? -1 : 0;
    if (c == ',' && depth == 0 && !in_string) {
      members.insert(std::exchange(member, ""));
      continue;
    }
    member += c;
    if (in_string && c == '\\') member += object[++i];
  }
  members.insert(member);
  return members;
}

Strings lines_in(const std::string& text) {
  std::istringstream stream(text);
  Strings lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// A user without rights, while it lives.
class Nobody {
 public:
  Nobody() {
    if (geteuid() == 0) REQUIRE(seteuid(65534) == 0);
  }
  ~Nobody() { CHECK(seteuid(getuid()) == 0); }
};

}  // namespace

TEST_CASE("journal reader: each line has the fields that journalctl prints, written the same") {
  if (!has_system_journals()) return;
  const SystemJournal journal;
  std::string every_byte;
  for (int i = 0; i < 256; ++i) every_byte += static_cast<char>(i);
  std::string exported;
  std::uint64_t number = 0;
  const auto add = [&](const test::JournalFields& fields) { exported += exported_entry(++number, fields); };
  add({{"MESSAGE", "plain"}, {"PRIORITY", "6"}, {"_SYSTEMD_UNIT", "a.service"}, {"EMPTY", ""}});
  add({{"MESSAGE", "several\nlines\n\tand a tab\n"}});
  add({{"MESSAGE", every_byte}});
  add({{"MESSAGE", "\r"}, {"ESCAPE", "\x1b[31mred"}, {"DELETE", "\x7f"}, {"C1", "\xc2\x85"}, {"NUL", {'\0', 1}}});
  add({{"MESSAGE", "ü€😀 \"quoted\" back\\slash /"}, {"BROKEN", "\xe2\x82"}, {"NONCHARACTER", "\xef\xb7\x90"}});
  add({{"MESSAGE", "\xed\xa0\x80"},
       {"LONG", "\xc0\x80"},
       {"LAST", "\xf4\x8f\xbf\xbd"},
       {"BEHIND", "\xf4\x90\x80\x80"}});
  add({{"TWICE", "1"}, {"MESSAGE", "m"}, {"TWICE", "2"}, {"BYTES", "\x01"}, {"BYTES", "\x02"}, {"BYTES", "text"}});
  add({{"MESSAGE", std::string(100 << 10, 'x')}, {"BINARY", std::string(5000, '\xff')}});
  add({{"MESSAGE", std::string(4087, 'y')}, {"A", std::string(4093, 'z')}, {"B", std::string(4094, 'z')}});
  journal.write_export(exported);

  JournalReader reader;
  open(reader, journal);
  CHECK(reader.seek_head());
  const std::vector<JournalEntry> entries = entries_of(reader);
  const Strings printed = lines_in(test::output_of("journalctl --all -o json -D '" + journal.directory() + "'"));
  REQUIRE(entries.size() == number);
  REQUIRE(printed.size() == number);
  for (std::size_t i = 0; i < number; ++i) {
    CHECK(members_of(entries[i].line) == members_of(printed[i]));
    CHECK(value_of(printed[i], "__CURSOR") == entries[i].cursor);
    CHECK(entries[i].line.find('\n') == std::string::npos);
  }
  CHECK(value_of(entries[7].line, "MESSAGE").size() == 100 << 10);
}

TEST_CASE("journal reader: matches of one field are alternatives, those of several must all be true") {
  if (!has_system_journals()) return;
  const SystemJournal journal;
  std::string exported;
  std::uint64_t number = 0;
  for (const char* unit : {"a", "b", "c"})
    for (const char* priority : {"3", "6"}) {
      ++number;
      exported += exported_entry(number, {{"NUMBER", std::to_string(number)}, {"UNIT", unit}, {"PRIORITY", priority}});
    }
  journal.write_export(exported);

  CHECK(matching(journal, {}) == Strings{"1", "2", "3", "4", "5", "6"});
  CHECK(matching(journal, {"UNIT=a"}) == Strings{"1", "2"});
  CHECK(matching(journal, {"UNIT=a", "PRIORITY=6"}) == Strings{"2"});
  CHECK(matching(journal, {"UNIT=a", "UNIT=c"}) == Strings{"1", "2", "5", "6"});
  CHECK(matching(journal, {"UNIT=a", "PRIORITY=6", "UNIT=c"}) == Strings{"2", "6"});
  CHECK(matching(journal, {"UNIT=a", "PRIORITY=6", "+", "UNIT=b"}) == Strings{"2", "3", "4"});
  CHECK(matching(journal, {"UNIT=none"}) == Strings{});
}

TEST_CASE("journal reader: what is no match is refused by name") {
  if (!has_system_journals()) return;
  const SystemJournal journal;
  journal.write_numbers(1, 1);
  CHECK(why_not(journal, {"A=1", "unit=a"}) == "'unit=a' is no match: FIELD=VALUE, the field in capitals");
  CHECK(why_not(journal, {"UNIT"}) == "'UNIT' is no match: FIELD=VALUE, the field in capitals");
  CHECK(why_not(journal, {""}) == "'' is no match: FIELD=VALUE, the field in capitals");
  CHECK(why_not(journal, {"/bin/sh"}) == "'/bin/sh' is no match: the entries of a program have _EXE=/bin/sh");
  for (const Strings& matches : std::vector<Strings>{{"+"}, {"+", "A=1"}, {"A=1", "+"}, {"A=1", "+", "+", "B=1"}})
    CHECK(why_not(journal, matches) == "'+' stands between two matches");
}

TEST_CASE("journal reader: goes on behind the entry with a cursor, whatever the matches") {
  if (!has_system_journals()) return;
  const SystemJournal journal;
  journal.write_numbers(1, 5);
  JournalReader reader;
  open(reader, journal);
  CHECK(reader.seek_head());
  const std::vector<JournalEntry> entries = entries_of(reader);
  REQUIRE(entries.size() == 5);

  CHECK(reader.seek_cursor(entries[1].cursor) == Sought::there);
  CHECK(numbers_of(reader) == Strings{"3", "4", "5"});
  CHECK(reader.seek_cursor(entries[4].cursor) == Sought::there);
  CHECK(numbers_of(reader) == Strings{});
  journal.write_numbers(6, 6);
  CHECK(numbers_of(reader) == Strings{"6"});

  JournalReader matched;
  open(matched, journal, {"NUMBER=4", "NUMBER=6"});
  CHECK(matched.seek_cursor(entries[1].cursor) == Sought::there);
  CHECK(numbers_of(matched) == Strings{"4", "6"});
  CHECK(matched.seek_cursor(entries[3].cursor) == Sought::there);
  CHECK(numbers_of(matched) == Strings{"6"});
}

TEST_CASE("journal reader: where the entry is gone, the first behind its place comes next") {
  if (!has_system_journals()) return;
  const SystemJournal journal;
  journal.write_numbers(1, 3, "a.journal");
  journal.write_numbers(4, 6, "b.journal");
  std::vector<JournalEntry> entries;
  {
    JournalReader reader;
    open(reader, journal);
    CHECK(reader.seek_head());
    entries = entries_of(reader);
  }
  REQUIRE(entries.size() == 6);
  journal.remove("a.journal");

  JournalReader reader;
  open(reader, journal);
  CHECK(reader.seek_cursor(entries[1].cursor) == Sought::gone);
  CHECK(numbers_of(reader) == Strings{"4", "5", "6"});
  JournalReader matched;
  open(matched, journal, {"NUMBER=5"});
  CHECK(matched.seek_cursor(entries[1].cursor) == Sought::gone);
  CHECK(numbers_of(matched) == Strings{"5"});
  CHECK(reader.seek_cursor("no cursor") == Sought::failed);
  CHECK(reader.error() == EINVAL);
}

TEST_CASE("journal reader: where all entries are gone, those to come are next") {
  if (!has_system_journals()) return;
  const SystemJournal journal;
  journal.write_numbers(1, 1, "a.journal");
  journal.write_numbers(5, 5, "b.journal");
  std::string newest;
  {
    JournalReader reader;
    open(reader, journal);
    CHECK(reader.seek_tail());
    newest = reader.cursor();
  }
  journal.remove("b.journal");
  JournalReader reader;
  open(reader, journal);
  CHECK(reader.seek_cursor(newest) == Sought::gone);
  CHECK(numbers_of(reader) == Strings{});
  journal.write_numbers(8, 8, "a.journal");
  CHECK(numbers_of(reader) == Strings{"8"});
}

TEST_CASE("journal reader: behind the newest entry there is what comes later") {
  if (!has_system_journals()) return;
  const SystemJournal journal;
  journal.write_numbers(1, 3, "a.journal");
  journal.write_numbers(4, 5, "b.journal");
  JournalReader reader;
  open(reader, journal);
  CHECK(reader.seek_tail().value_or("") != "");
  CHECK(numbers_of(reader) == Strings{});
  journal.write_numbers(6, 7, "a.journal");
  CHECK(numbers_of(reader) == Strings{"6", "7"});

  JournalReader unmatched;
  open(unmatched, journal, {"NUMBER=9"});
  CHECK(unmatched.seek_tail().value_or("") != "");
  CHECK(numbers_of(unmatched) == Strings{});
  journal.write_numbers(8, 9, "a.journal");
  CHECK(numbers_of(unmatched) == Strings{"9"});
}

TEST_CASE("journal reader: passes over as many entries as it is told, or as there are") {
  if (!has_system_journals()) return;
  const SystemJournal journal;
  journal.write_numbers(1, 5);
  JournalReader reader;
  open(reader, journal);
  CHECK(reader.seek_head());
  CHECK(reader.skip(0) == 0U);
  CHECK(reader.skip(2) == 2U);
  CHECK(reader.cursor() != "");
  JournalEntry entry;
  CHECK(reader.next(entry) == Got::entry);
  CHECK(value_of(entry.line, "NUMBER") == "3");
  CHECK(reader.skip(5'000'000) == 2U);
  CHECK(numbers_of(reader) == Strings{});
  journal.write_numbers(6, 6);
  CHECK(numbers_of(reader) == Strings{"6"});
}

TEST_CASE("journal reader: no journal, and none that one may read, are told apart") {
  const test::TemporaryFolder folder;
  const std::string inner = folder.path() + "/0123456789abcdef0123456789abcdef";
  const std::string file = inner + "/system.journal";
  CHECK(why_no_journal({folder.path(), "/nowhere"}).error == ENOENT);
  CHECK(why_no_journal({"/a", "/b"}).sentence == "there is no journal in /a or /b");

  std::filesystem::create_directory(inner);
  std::ofstream(file) << "?";
  REQUIRE(chmod(folder.path().c_str(), 0755) == 0);
  CHECK(why_no_journal({folder.path()}).error == EBADMSG);

  REQUIRE(chmod(file.c_str(), 0000) == 0);
  const Nobody nobody;
  const NoJournal reason = why_no_journal({folder.path()});
  CHECK(reason.error == EACCES);
  CHECK(reason.sentence == "the journal in " + folder.path() +
                               " may not be read: Permission denied; members of the group systemd-journal may");
}

TEST_CASE("journal reader: opening says why there is nothing to read") {
  JournalReader reader;
  const test::TemporaryFolder folder;
  const auto problem = reader.open(folder.path(), {});
  REQUIRE(problem.has_value());
  if (!JournalReader::is_available()) {
    CHECK(problem->sentence == "this cproto-send was built without libsystemd");
    return;
  }
  CHECK(problem->status == Status::no_input);
  CHECK(problem->sentence == "there is no journal in " + folder.path());
  CHECK(reader.error() == ENOENT);
  CHECK(reader.open("/nowhere", {})->sentence == "/nowhere: No such file or directory");
  std::ofstream(folder.path() + "/a.journal") << std::string(5000, '?');
  CHECK(reader.open(folder.path(), {})->sentence ==
        "the journal in " + folder.path() + " is of a kind that libsystemd here cannot read");
}
