// How a session is named to people: knowing its id is the right to resume it, so logs, tools and file names never show
// that.
#pragma once

#include <string>

#include "proto/handshake.h"

namespace cproto {

// The first 8 hexadecimal digits of the id's SHA-256.
std::string short_name(const SessionId& id);

}  // namespace cproto
