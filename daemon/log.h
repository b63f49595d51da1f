// Where the daemon's lines go. The reactor hands a line over and goes on; what becomes of it is logging.cc's matter,
// and the simulator's is a list.
#pragma once

#include <cstdint>
#include <string_view>

#include "daemon/log_event.h"

namespace cproto {

enum class Severity : std::uint8_t { error, warn, info, debug };

// Whom a line is about, for queries (journalctl CPROTO_CLIENT=web-1). What is empty is not said.
struct LogFields {
  std::string_view client = {};
  std::string_view session = {};  // its short name: knowing the id is the right to resume it
  std::string_view peer = {};     // "192.0.2.9:51234"
  std::string_view channel = {};
  std::string_view error = {};  // a name of the registry (PROTOCOL §8)
};

class Log {
 public:
  virtual ~Log() = default;
  // Views live for the length of the call.
  virtual void write(Severity severity, LogEvent event, std::string_view line, const LogFields& fields) = 0;
  virtual bool is_on(Severity severity) const = 0;

  void error(LogEvent event, std::string_view line, const LogFields& fields = {}) {
    write(Severity::error, event, line, fields);
  }
  void warn(LogEvent event, std::string_view line, const LogFields& fields = {}) {
    write(Severity::warn, event, line, fields);
  }
  void info(LogEvent event, std::string_view line, const LogFields& fields = {}) {
    write(Severity::info, event, line, fields);
  }
  void debug(std::string_view line, const LogFields& fields = {}) {
    write(Severity::debug, LogEvent::none, line, fields);
  }
};

}  // namespace cproto
