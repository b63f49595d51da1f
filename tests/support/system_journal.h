// Journals of systemd's kind, made by systemd's own tool from a text: nothing of the machine's own journal is touched,
// and no right is needed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/temporary_folder.h"

namespace cproto::test {

// False where this machine cannot make journals, or the client cannot read them. Says why; CPROTO_NO_SKIP=1 in the
// environment makes that a failure.
bool has_system_journals();

using JournalFields = std::vector<std::pair<std::string_view, std::string>>;

// An entry as journalctl -o export writes it; `number` is its microsecond.
std::string exported_entry(std::uint64_t number, const JournalFields& fields);

class SystemJournal {
 public:
  SystemJournal();
  const std::string& directory() const { return folder_.path(); }

  // Entries behind those that the file has. Each file is a journal with sequence numbers of its own.
  void write_export(const std::string& exported, const std::string& file = "a.journal") const;
  void write(std::uint64_t number, const JournalFields& fields, const std::string& file = "a.journal") const {
    write_export(exported_entry(number, fields), file);
  }
  // Entries first..last, with NUMBER=…
  void write_numbers(std::uint64_t first, std::uint64_t last, const std::string& file = "a.journal") const;
  // As rotation and vacuuming do.
  void rename(const std::string& from, const std::string& to) const;
  void remove(const std::string& file) const;

 private:
  // As journald has it: a directory in the directory, for each machine. libsystemd watches that more closely.
  std::string path(const std::string& file) const { return directory() + "/0123456789abcdef0123456789abcdef/" + file; }

  TemporaryFolder folder_;
};

// What a command prints, which must succeed.
std::string output_of(const std::string& command);

}  // namespace cproto::test
