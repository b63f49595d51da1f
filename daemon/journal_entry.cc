#include "daemon/journal_entry.h"

#include <algorithm>

namespace cproto {

namespace {

void add(std::string& entry, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  entry.append(name).append("=");
  const auto begin = static_cast<std::ptrdiff_t>(entry.size());
  entry.append(value);
  std::replace(entry.begin() + begin, entry.end(), '\n', ' ');
  entry += '\n';
}

}  // namespace

char priority_of(Severity severity) {
  switch (severity) {
    case Severity::error: return '3';
    case Severity::warn: return '4';
    case Severity::info: return '6';
    case Severity::debug: return '7';
  }
  return '6';
}

std::string journal_entry(Severity severity, LogEvent event, std::string_view line, const LogFields& fields) {
  std::string entry;
  entry.reserve(line.size() + 256);
  add(entry, "PRIORITY", std::string(1, priority_of(severity)));
  add(entry, "MESSAGE_ID", message_id(event));
  add(entry, "CPROTO_CLIENT", fields.client);
  add(entry, "CPROTO_SESSION", fields.session);
  add(entry, "CPROTO_PEER", fields.peer);
  add(entry, "CPROTO_CHANNEL", fields.channel);
  add(entry, "CPROTO_ERROR", fields.error);
  add(entry, "MESSAGE", line);
  return entry;
}

}  // namespace cproto
