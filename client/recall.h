// What an earlier run of the same command left, and the place to remember this one.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "client/options.h"
#include "client/progress.h"
#include "client/source.h"
#include "client/transfer_state.h"

namespace cproto::client {

// Opens `state`, if the source can go on with anything and there is a place for it. What comes back is the earlier run,
// also where nothing new can be written; nullopt: there was none, or its source is another one by now. A problem ends
// the command.
std::variant<std::optional<SavedTransfer>, Problem> recall(const Options& options, const Source& source,
                                                           TransferState& state, Progress& progress);

// Why, with errno, nothing can be remembered.
std::string cannot_write(const Options& options, int error);
// The same, for people whose transfer goes on: an interrupted one could not be continued.
std::string cannot_remember(const Options& options, int error);

}  // namespace cproto::client
