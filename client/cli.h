// The command line and the environment. The only file that knows CLI11 is cli.cc.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "client/options.h"

namespace cproto::client {

// What the command finds around it.
struct Surroundings {
  std::function<std::optional<std::string>(const char*)> environment;
  std::string host_name;
  bool stdin_is_terminal = false;
};

// --help and --version: to be printed, and that was all.
struct Answer {
  std::string text;
};
// Why nothing can be done: a sentence, without the program's name.
struct UsageError {
  std::string text;
};

// `arguments` without the program's name.
std::variant<Options, Answer, UsageError> parse_arguments(const std::vector<std::string>& arguments,
                                                          const Surroundings& surroundings);

}  // namespace cproto::client
