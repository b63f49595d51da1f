// The congestion control of a connection: what is asked for, what is got, and what would allow the rest.
//
// CUBIC and its like take every lost packet for a full queue: on a long way that loses one in a hundred they make a
// thirtieth of what BBR makes. On a short way nothing is to be gained: what was lost is there again at once, and BBR's
// pacing costs what a fast link could carry, on loopback a quarter. So "auto" asks for BBR on long ways, and leaves
// short ones as they are.
#pragma once

#include <string>
#include <string_view>

#include "proto/time.h"

namespace cproto::client {

inline constexpr std::string_view kCongestionAuto = "auto";
inline constexpr std::string_view kCongestionSystem = "system";  // nothing is asked for
// Beyond a building and a city.
inline constexpr Duration kLongWay = 5ms;

struct Congestion {
  std::string name;     // in use: "cubic"; empty where the system does not say
  std::string refused;  // asked for and not got; empty: none
  std::string remedy;   // the command that would allow it; empty: none is known
};

// "auto", "system", or what can be the name of one.
bool is_congestion_setting(std::string_view text);

// What to ask for on a way of that round trip, 0: it is not known. Empty: nothing.
std::string_view congestion_to_ask_for(std::string_view setting, Duration round_trip);

// `error`: what the kernel said to `name`. `allowed`: net.ipv4.tcp_allowed_congestion_control; empty: not known.
std::string congestion_remedy(std::string_view name, int error, std::string_view allowed);

// "cubic", or "cubic (bbr is refused; to allow it: sysctl -w ...)". Empty where the system does not say.
std::string congestion_clause(const Congestion& congestion);

// Asks for it on a TCP connection that is there and has not been written to.
Congestion set_congestion(int fd, std::string_view setting);

}  // namespace cproto::client
