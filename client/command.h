// The command from its options to its exit status: puts the parts together, runs the loop, and has the last word.
#pragma once

#include "client/options.h"

namespace cproto::client {

// What main() returns. Does not return if a signal ended it.
int run_command(const Options& options);

}  // namespace cproto::client
