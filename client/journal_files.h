// Why a journal has nothing to read: no files, or none that this user may open. libsystemd passes over both in silence.
#pragma once

#include <string>
#include <vector>

namespace cproto::client {

struct NoJournal {
  int error = 0;  // ENOENT: there is none; EACCES: the user may not; EBADMSG: libsystemd does not understand it
  std::string sentence;
};

// Of the journals in `directories` and the directories in those, no file could be opened.
NoJournal why_no_journal(const std::vector<std::string>& directories);

}  // namespace cproto::client
