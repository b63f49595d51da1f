// The service manager: what it is told, and what it hands over (sd_notify(3), sd_listen_fds(3),
// sd_watchdog_enabled(3)). No effect, and nothing, where there is none.
#pragma once

#include <string>
#include <vector>

#include "proto/time.h"

namespace cproto {

// For example "READY=1\nSTATUS=listening".
void notify(const std::string& state);
bool has_service_manager();
// RELOADING=1, with the time it wants beside it.
void notify_reloading();
// "EXTEND_TIMEOUT_USEC=…": starting or stopping may take so much longer from now.
std::string extend_timeout(Duration duration);

// How often it wants to hear WATCHDOG=1; 0: never.
Duration watchdog_interval();
// Sockets it opened for us. The first call takes them.
std::vector<int> take_inherited_sockets();

}  // namespace cproto
