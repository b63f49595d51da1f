// An entry of systemd's journal as a line of JSON, as `journalctl -o json --all` prints it but for the order of its
// fields: each field a member, its value a string; an array of them where the field occurs more than once; and what is
// no text that one could print, an array of its bytes as numbers. Knows nothing of where the fields come from.
//
// Without --all, journalctl prints null in place of what is longer than 4095 bytes with its name. Nothing is to be lost
// here, so there is no such limit: a line is as long as its entry.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace cproto::client {

// What a longer entry took is given back: a core dump in the journal is not to cost memory for ever.
constexpr std::size_t kKeptBytes = 1U << 20;

// What journalctl prints as text: UTF-8 of assigned planes without surrogates and noncharacters, and of the control
// characters (C0, DEL, C1) only tab and line feed.
bool is_journal_text(std::string_view value);

class JournalLine {
 public:
  void add(std::string_view name, std::string_view value);
  // The object of all that was added, without a line feed, into `line`. Then there is nothing.
  void take(std::string& line);
  // Forgets what was added.
  void clear() { used_ = 0; }

 private:
  struct Field {
    std::string name;
    std::string values;  // JSON, comma between
    bool is_repeated = false;
  };
  Field& find_or_add(std::string_view name);

  std::vector<Field> fields_;  // kept for the memory they have: entries resemble each other
  std::size_t used_ = 0;
};

}  // namespace cproto::client
