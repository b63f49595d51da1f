// What the machine and its service manager allow, and how to say it when they do not.
#pragma once

#include <cstdint>
#include <string>

#include "daemon/log.h"

namespace cproto {

// Raises the limit of descriptors to the hard one. Returns for how many connections there are enough beside those that
// the store is to have at any time, and says if these are fewer than `connections` (0: no limit).
std::uint64_t check_descriptors(std::uint64_t connections, Log& log);

// Says if what is written to `directory` may not outlive the machine or its container.
void check_file_system(const std::string& directory, Log& log);

// systemd has started this process.
bool is_systemd_service();

// As a service: the drop-in that lifts what its sandbox forbids, as a clause to go behind the sentence ("; …"). Empty
// if `error` (errno) is nothing a sandbox does, or nobody set one up.
std::string path_hint(int error, const std::string& path);
std::string port_hint(int error, std::uint16_t port);

// Gives the folder to `group`, with its set-group-id bit, so that all below it is readable for the same people. Empty,
// or a sentence about what is in the way.
std::string give_to_group(const std::string& folder, const std::string& group);
bool group_exists(const std::string& group);

}  // namespace cproto
