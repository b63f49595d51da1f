// What the service manager is told (sd_notify(3)). No effect where none is listening.
#pragma once

#include <string>

namespace cproto {

// For example "READY=1\nSTATUS=listening".
void notify(const std::string& state);

}  // namespace cproto
