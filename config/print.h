// --print-config.
#pragma once

#include <string>

#include "config/config.h"

namespace cproto {

// Every key with its value and its documentation, as a file that loads to the same Config. With the values commented
// out, the defaults printed so are the shipped file.
[[nodiscard]] std::string print(const Config& config);

}  // namespace cproto
