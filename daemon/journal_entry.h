// A line of the log as systemd's journal takes it: one NAME=value per line (sd_journal_sendv(3)).
#pragma once

#include <string>
#include <string_view>

#include "daemon/log.h"

namespace cproto {

// PRIORITY, MESSAGE_ID, CPROTO_CLIENT, CPROTO_SESSION, CPROTO_PEER, CPROTO_CHANNEL and CPROTO_ERROR as far as there are
// any, then MESSAGE; each ends with a LF. A LF within a value becomes a space.
std::string journal_entry(Severity severity, LogEvent event, std::string_view line, const LogFields& fields);

// syslog's number of it: 3, 4, 6, 7.
char priority_of(Severity severity);

}  // namespace cproto
