#pragma once

namespace cproto {

// What --help prints.
extern const char* const kHelp;

}  // namespace cproto
