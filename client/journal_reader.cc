#include "client/journal_reader.h"

#include <systemd/sd-journal.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "client/journal_files.h"
#include "config/wording.h"

namespace cproto::client {

namespace {

std::string as_string(const sd_id128_t& id) {
  std::array<char, SD_ID128_STRING_MAX> text{};
  return sd_id128_to_string(id, text.data());
}

// What people try in place of a match: journalctl takes the path of a program for the _EXE= that it is.
std::string why_no_match(const std::string& match) {
  const std::string name = "'" + printable(match) + "'";
  if (match == "+") return "'+' stands between two matches";
  if (match.starts_with('/')) return name + " is no match: the entries of a program have _EXE=" + printable(match);
  return name + " is no match: FIELD=VALUE, the field in capitals";
}

}  // namespace

bool JournalReader::is_available() { return true; }

void JournalReader::Closer::operator()(sd_journal* journal) const { sd_journal_close(journal); }

bool JournalReader::note(int result) {
  if (result < 0) error_ = -result;
  return result >= 0;
}

std::optional<Problem> JournalReader::open(const std::string& directory, const std::vector<std::string>& matches) {
  if (!note(open_files(directory))) return fail_to_open(error_, directory);
  // Nothing opened is no error for libsystemd: files may come. They may not, so one who begins is told.
  std::uint64_t usage = 0;
  if (note(sd_journal_get_usage(journal_.get(), &usage)) && usage == 0) {
    const NoJournal reason = why_no_journal(
        directory.empty() ? std::vector<std::string>{"/var/log/journal", "/run/log/journal"} : std::vector{directory});
    error_ = reason.error;
    return Problem{Status::no_input, reason.sentence};
  }
  matches_ = matches;
  if (const auto bad = add_matches()) {
    error_ = EINVAL;
    return Problem{Status::usage, why_no_match(*bad)};
  }
  // All of each value, however long.
  sd_journal_set_data_threshold(journal_.get(), 0);
  return watch();
}

int JournalReader::open_files(const std::string& directory) {
  sd_journal* journal = nullptr;
  const int result = directory.empty() ? sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY)
                                       : sd_journal_open_directory(&journal, directory.c_str(), 0);
  journal_.reset(result < 0 ? nullptr : journal);
  return result;
}

std::optional<Problem> JournalReader::fail_to_open(int error, const std::string& directory) {
  return Problem{Status::no_input,
                 (directory.empty() ? "the journal" : printable(directory)) + ": " + std::strerror(error)};
}

// Before anything is read, so that nothing written meanwhile goes unnoticed.
std::optional<Problem> JournalReader::watch() {
  fd_ = sd_journal_get_fd(journal_.get());
  if (note(fd_)) return std::nullopt;
  return Problem{Status::os_error, std::string("the journal cannot be watched: ") + std::strerror(error_)};
}

std::optional<std::string> JournalReader::add_matches() {
  bool has_term = matches_.empty();
  for (const std::string& match : matches_) {
    const bool is_or = match == "+";
    if (is_or && !has_term) return match;
    const int result = is_or ? sd_journal_add_disjunction(journal_.get())
                             : sd_journal_add_match(journal_.get(), match.data(), match.size());
    if (match.empty() || result < 0) return match;
    has_term = !is_or;
  }
  if (!has_term) return matches_.back();
  return std::nullopt;
}

bool JournalReader::seek_head() { return note(sd_journal_seek_head(journal_.get())); }

// Behind "the tail" libsystemd never finds anything, not even what comes later: one has to stand on the newest entry.
// Some versions go back further than to that one; so on to where there is nothing more.
std::optional<std::string> JournalReader::seek_tail() {
  sd_journal* journal = journal_.get();
  sd_journal_flush_matches(journal);
  int result = sd_journal_seek_tail(journal);
  if (result >= 0) result = sd_journal_previous(journal);
  if (result == 0) result = sd_journal_seek_head(journal);
  while (result > 0) result = sd_journal_next(journal);
  std::string newest = cursor();
  add_matches();
  if (!note(result)) return std::nullopt;
  return newest;
}

// Matches are set aside: they may be others than when the cursor was kept, and an entry they pass over is there.
JournalReader::Sought JournalReader::seek_cursor(const std::string& cursor) {
  sd_journal* journal = journal_.get();
  sd_journal_flush_matches(journal);
  int result = sd_journal_seek_cursor(journal, cursor.c_str());
  if (result >= 0) result = sd_journal_next(journal);
  if (result > 0) result = sd_journal_test_cursor(journal, cursor.c_str());
  const bool is_there = result > 0;
  if (result == 0) result = sd_journal_seek_cursor(journal, cursor.c_str());
  add_matches();
  if (!note(result)) return Sought::failed;
  return is_there ? Sought::there : Sought::gone;
}

std::optional<std::uint64_t> JournalReader::skip(std::uint64_t entries) {
  constexpr std::uint64_t kStep = 1U << 20;  // counted in an int
  std::uint64_t passed = 0;
  while (passed < entries) {
    const std::uint64_t step = std::min(entries - passed, kStep);
    const int count = sd_journal_next_skip(journal_.get(), step);
    if (!note(count)) return std::nullopt;
    passed += static_cast<std::uint64_t>(count);
    if (static_cast<std::uint64_t>(count) < step) break;
  }
  return passed;
}

JournalReader::Got JournalReader::next(JournalEntry& entry) {
  const int result = sd_journal_next(journal_.get());
  if (!note(result)) return Got::failed;
  if (result == 0) return Got::none;
  entry.cursor = cursor();
  return note(read_entry(entry.cursor, entry.line)) ? Got::entry : Got::unreadable;
}

std::string JournalReader::cursor() const {
  char* text = nullptr;
  if (sd_journal_get_cursor(journal_.get(), &text) < 0) return {};
  const std::unique_ptr<char, decltype(&std::free)> owner(text, std::free);
  return text;
}

int JournalReader::read_entry(const std::string& cursor, std::string& line) {
  line_.clear();
  // A field that is damaged is left out by libsystemd itself, and so by journalctl.
  int result = add_address(cursor);
  const void* data = nullptr;
  std::size_t size = 0;
  sd_journal_restart_data(journal_.get());
  while (result >= 0 && (result = sd_journal_enumerate_data(journal_.get(), &data, &size)) > 0) {
    const std::string_view field(static_cast<const char*>(data), size);
    const std::size_t equals = field.find('=');
    const std::string_view name = field.substr(0, equals);
    // The boot stands in the entry itself, too, and was added.
    if (equals != std::string_view::npos && name != "_BOOT_ID") line_.add(name, field.substr(equals + 1));
  }
  line_.take(line);
  return result;
}

// What is no field of the entry, but where and when it is.
int JournalReader::add_address(const std::string& cursor) {
  std::uint64_t realtime = 0;
  std::uint64_t monotonic = 0;
  sd_id128_t boot{};
  int result = sd_journal_get_realtime_usec(journal_.get(), &realtime);
  if (result >= 0) result = sd_journal_get_monotonic_usec(journal_.get(), &monotonic, &boot);
  if (result < 0) return result;
  line_.add("__CURSOR", cursor);
  line_.add("__REALTIME_TIMESTAMP", std::to_string(realtime));
  line_.add("__MONOTONIC_TIMESTAMP", std::to_string(monotonic));
#ifdef CPROTO_HAVE_JOURNAL_SEQNUM  // as journalctl, from the same version on
  std::uint64_t number = 0;
  sd_id128_t number_id{};
  result = sd_journal_get_seqnum(journal_.get(), &number, &number_id);
  if (result < 0) return result;
  line_.add("__SEQNUM", std::to_string(number));
  line_.add("__SEQNUM_ID", as_string(number_id));
#endif
  line_.add("_BOOT_ID", as_string(boot));
  return 0;
}

JournalReader::News JournalReader::process() {
  const int result = sd_journal_process(journal_.get());
  if (!note(result)) return News::failed;
  return result == SD_JOURNAL_NOP ? News::none : result == SD_JOURNAL_INVALIDATE ? News::moved : News::changed;
}

std::optional<Duration> JournalReader::timeout() const {
  std::uint64_t deadline_usec = 0;  // of CLOCK_MONOTONIC
  constexpr std::uint64_t kNever = UINT64_MAX;
  if (sd_journal_get_timeout(journal_.get(), &deadline_usec) < 0 || deadline_usec == kNever) return std::nullopt;
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  const Duration now = std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  return std::max<Duration>(std::chrono::microseconds(deadline_usec) - now, Duration{0});
}

}  // namespace cproto::client
