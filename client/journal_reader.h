// systemd's journal, entry by entry, each a line of JSON, from any entry on. The only part that knows libsystemd; built
// without it, open() says so.
//
// Happy path: open -> seek_… -> next() -> entry, entry, … none; fd() becomes readable -> process() -> changed ->
// next(). Failure modes: no journal, or none this user may read: open(). The entry to go on behind is no longer there:
// seek_cursor() says gone. A damaged entry: unreadable, and the next() is the one behind it. Anything else: failed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/journal_line.h"
#include "client/source.h"
#include "proto/time.h"

struct sd_journal;

namespace cproto::client {

struct JournalEntry {
  std::string line;    // JSON, without a line feed
  std::string cursor;  // what journald calls it; empty if not even that could be read
};

class JournalReader {
 public:
  // Built with libsystemd.
  static bool is_available();

  // The journals in `directory`; empty: those of this machine. `matches` as journalctl takes them: FIELD=VALUE, of
  // which one of each field must be true, and "+" between alternatives. Returns why not; error() is then its errno.
  [[nodiscard]] std::optional<Problem> open(const std::string& directory, const std::vector<std::string>& matches);
  // errno of what failed last.
  int error() const { return error_; }

  // --- where the next next() goes on ---
  // With the first entry there is.
  [[nodiscard]] bool seek_head();
  // Behind the newest, whatever the matches. Returns its cursor, empty if there is none; nullopt: failed.
  [[nodiscard]] std::optional<std::string> seek_tail();
  enum class Sought { there, gone, failed };
  // Behind the entry with this cursor; or, if that is gone, with the first one behind where it was. Whether it is there
  // does not depend on the matches.
  [[nodiscard]] Sought seek_cursor(const std::string& cursor);
  // Passes over `entries`, or as many as there are. Returns how many; nullopt: failed.
  [[nodiscard]] std::optional<std::uint64_t> skip(std::uint64_t entries);

  enum class Got { entry, none, unreadable, failed };
  // The next one; unreadable: of this entry only the cursor.
  [[nodiscard]] Got next(JournalEntry& entry);
  // Of the entry that next() or skip() came to last; empty where there is none.
  std::string cursor() const;

  // --- for the loop ---
  // Readable when the journal may have changed.
  int fd() const { return fd_; }
  enum class News { none, changed, moved, failed };
  // To be called whenever the descriptor is readable, also while there is more to read: lets go of files that were
  // rotated away. Changed: entries may have come. Moved: so may files, and others are gone; seek_cursor() tells whether
  // the one where we stood is among them.
  [[nodiscard]] News process();
  // After this time process() is to be called in any case: not every file system tells of changes. nullopt: never.
  std::optional<Duration> timeout() const;

 private:
  struct Closer {
    void operator()(sd_journal* journal) const;
  };

  int open_files(const std::string& directory);
  std::optional<Problem> fail_to_open(int error, const std::string& directory);
  std::optional<Problem> watch();
  // Sets the matches; returns the one that is none.
  std::optional<std::string> add_matches();
  // The entry under way, field by field. 0 or -errno.
  int read_entry(const std::string& cursor, std::string& line);
  int add_address(const std::string& cursor);
  bool note(int result);

  std::unique_ptr<sd_journal, Closer> journal_;
  std::vector<std::string> matches_;
  int fd_ = -1;
  int error_ = 0;
  JournalLine line_;
};

}  // namespace cproto::client
