#include "client/congestion.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>

namespace cproto::client {

namespace {

constexpr std::size_t kNameMax = 15;  // TCP_CA_NAME_MAX, without the zero
constexpr const char* kAllowed = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";

bool has_word(std::string_view words, std::string_view word) {
  return (" " + std::string(words) + " ").find(" " + std::string(word) + " ") != std::string::npos;
}

std::string name_of(int fd) {
  std::array<char, kNameMax + 1> name{};
  socklen_t size = name.size() - 1;
  return getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(), &size) == 0 ? name.data() : "";
}

// Measured with the handshake. 0 where it could not be, because a packet of it was lost.
Duration round_trip(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return Duration(0);
  return std::chrono::microseconds(info.tcpi_rtt);
}

// Empty where it cannot be read, as in a service that sees nothing of the kernel's settings.
std::string allowed_here() {
  std::string line;
  std::ifstream file(kAllowed);
  std::getline(file, line);
  return line;
}

}  // namespace

bool is_congestion_setting(std::string_view text) {
  return !text.empty() && text.size() <= kNameMax && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

std::string_view congestion_to_ask_for(std::string_view setting, Duration round_trip) {
  if (setting == kCongestionSystem) return {};
  if (setting != kCongestionAuto) return setting;
  return round_trip == Duration(0) || round_trip >= kLongWay ? "bbr" : "";
}

std::string congestion_remedy(std::string_view name, int error, std::string_view allowed) {
  if (error != EPERM && error != ENOENT) return {};
  std::string command = error == ENOENT ? "modprobe tcp_" + std::string(name) : "";
  if (has_word(allowed, name)) return command;  // if it is there: a route may insist on another
  if (!command.empty()) command += " && ";
  const std::string key = "net.ipv4.tcp_allowed_congestion_control";
  const std::string kept = allowed.empty() ? "$(sysctl -n " + key + ")" : std::string(allowed);
  return command + "sysctl -w " + key + "=\"" + kept + " " + std::string(name) + "\"";
}

std::string congestion_clause(const Congestion& congestion) {
  if (congestion.refused.empty()) return congestion.name;
  return congestion.name + " (" + congestion.refused + " is refused" +
         (congestion.remedy.empty() ? ")" : "; to allow it: " + congestion.remedy + ")");
}

Congestion set_congestion(int fd, std::string_view setting) {
  Congestion got{name_of(fd), {}, {}};
  const std::string_view wanted = congestion_to_ask_for(setting, round_trip(fd));
  if (wanted.empty() || wanted == got.name) return got;
  if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, wanted.data(), static_cast<socklen_t>(wanted.size())) == 0)
    return {name_of(fd), {}, {}};
  got.refused = wanted;
  got.remedy = congestion_remedy(wanted, errno, allowed_here());
  return got;
}

}  // namespace cproto::client
