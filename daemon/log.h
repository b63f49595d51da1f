// Where the daemon's lines go. The reactor hands a line over and goes on; what becomes of it is logging.cc's matter,
// and the simulator's is a list.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cproto {

enum class Severity : std::uint8_t { error, warn, info, debug };

class Log {
 public:
  virtual ~Log() = default;
  virtual void write(Severity severity, std::string_view line) = 0;
  virtual bool is_on(Severity severity) const = 0;

  void error(std::string_view line) { write(Severity::error, line); }
  void warn(std::string_view line) { write(Severity::warn, line); }
  void info(std::string_view line) { write(Severity::info, line); }
  void debug(std::string_view line) { write(Severity::debug, line); }
};

}  // namespace cproto
