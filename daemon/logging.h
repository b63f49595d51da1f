// Lines to systemd's journal or to standard error, by spdlog: a bounded queue and a thread of its own, so that a slow
// terminal or a journald that does not answer never holds the reactor. What did not fit is counted and said.
#pragma once

#include <memory>

#include "daemon/log.h"

namespace cproto {

// Lines below `least` are dropped. To the journal, with fields, if that is what systemd connected standard error with;
// else as text with time and severity.
std::unique_ptr<Log> make_log(Severity least);
// Changes the least severity of a log made by make_log().
void set_level(Log& log, Severity least);

}  // namespace cproto
