#include "client/journal_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "config/wording.h"

namespace cproto::client {

namespace fs = std::filesystem;

namespace {

struct Found {
  bool readable = false;
  bool forbidden = false;
};

bool is_journal(const fs::path& path) {
  const std::string name = path.filename();
  return name.ends_with(".journal") || name.ends_with(".journal~");  // ~: was not closed properly
}

// By opening it: rights come from more than the mode of a file.
bool may_open(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd >= 0) ::close(fd);
  return fd >= 0 || (errno != EACCES && errno != EPERM);
}

void look(const fs::path& directory, bool with_inner, Found& found) {
  std::error_code error;
  fs::directory_iterator entries(directory, error);
  if (error == std::errc::permission_denied) found.forbidden = true;
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    std::error_code ignored;
    if (is_journal(entries->path()))
      (may_open(entries->path()) ? found.readable : found.forbidden) = true;
    else if (with_inner && entries->is_directory(ignored))
      look(entries->path(), false, found);
  }
}

std::string named(const std::vector<std::string>& directories) {
  std::string text;
  for (const std::string& directory : directories) text += (text.empty() ? "" : " or ") + printable(directory);
  return text;
}

}  // namespace

NoJournal why_no_journal(const std::vector<std::string>& directories) {
  Found found;
  for (const std::string& directory : directories) look(directory, true, found);
  const std::string where = named(directories);
  if (found.readable) return {EBADMSG, "the journal in " + where + " is of a kind that libsystemd here cannot read"};
  if (found.forbidden)
    return {EACCES, "the journal in " + where +
                        " may not be read: Permission denied; members of the group systemd-journal may"};
  return {ENOENT, "there is no journal in " + where};
}

}  // namespace cproto::client
