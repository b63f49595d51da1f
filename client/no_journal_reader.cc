// In place of journal_reader.cc where there is no libsystemd: nothing can be opened, so nothing else is ever called.
#include <cerrno>

#include "client/journal_reader.h"

namespace cproto::client {

bool JournalReader::is_available() { return false; }

void JournalReader::Closer::operator()(sd_journal*) const {}

std::optional<Problem> JournalReader::open(const std::string&, const std::vector<std::string>&) {
  error_ = ENOSYS;
  return Problem{Status::usage, "this cproto-send was built without libsystemd"};
}

bool JournalReader::seek_head() { return false; }
std::optional<std::string> JournalReader::seek_tail() { return std::nullopt; }
JournalReader::Sought JournalReader::seek_cursor(const std::string&) { return Sought::failed; }
std::optional<std::uint64_t> JournalReader::skip(std::uint64_t) { return std::nullopt; }
JournalReader::Got JournalReader::next(JournalEntry&) { return Got::failed; }
std::string JournalReader::cursor() const { return {}; }
JournalReader::News JournalReader::process() { return News::failed; }
std::optional<Duration> JournalReader::timeout() const { return std::nullopt; }

}  // namespace cproto::client
