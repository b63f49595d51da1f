#include "daemon/notify.h"

#include <cstdlib>

#ifdef CPROTO_HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>
#endif

namespace cproto {

#ifdef CPROTO_HAVE_LIBSYSTEMD

void notify(const std::string& state) { sd_notify(0, state.c_str()); }

Duration watchdog_interval() {
  std::uint64_t microseconds = 0;
  return sd_watchdog_enabled(0, &microseconds) > 0 ? std::chrono::microseconds(microseconds) : Duration{0};
}

std::vector<int> take_inherited_sockets() {
  std::vector<int> sockets;
  const int count = sd_listen_fds(1);
  for (int i = 0; i < count; ++i) sockets.push_back(SD_LISTEN_FDS_START + i);
  return sockets;
}

#else

void notify(const std::string&) {}
Duration watchdog_interval() { return Duration{0}; }
std::vector<int> take_inherited_sockets() { return {}; }

#endif

bool has_service_manager() { return std::getenv("NOTIFY_SOCKET") != nullptr; }

void notify_reloading() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();  // CLOCK_MONOTONIC
  notify("RELOADING=1\nMONOTONIC_USEC=" +
         std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(now).count()));
}

std::string extend_timeout(Duration duration) {
  return "EXTEND_TIMEOUT_USEC=" +
         std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
}

}  // namespace cproto
