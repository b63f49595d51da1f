// What --version says.
#pragma once

#include <string>

namespace cproto {

// "cprotod 0.1.0 (1a2b3c4)": the commit it was built from, where that was known.
std::string version_line(const char* program);

}  // namespace cproto
