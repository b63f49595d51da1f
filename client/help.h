#pragma once

namespace cproto::client {

// What --help prints.
extern const char* const kHelp;

}  // namespace cproto::client
