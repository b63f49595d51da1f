#include "daemon/surroundings.h"

#include <grp.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "config/wording.h"

namespace cproto {

namespace {

constexpr std::uint32_t kInboxMode = 02750;
constexpr std::uint16_t kFirstFreePort = 1024;
// Descriptors that no connection gets: logs of the inbox, segments, parts, those who ask by cprotoctl. Where there are
// few, half of them.
constexpr std::uint64_t kOtherDescriptors = 640;

std::string drop_in(const std::string& lines) {
  return "; the service's sandbox forbids it: systemctl edit cprotod, and add  [Service] " + lines;
}

std::uint64_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

// "tmpfs", "overlayfs": empty if it lasts.
std::string volatile_file_system(const std::string& directory) {
  struct statfs status {};
  if (::statfs(directory.c_str(), &status) != 0) return {};
  switch (static_cast<std::uint64_t>(status.f_type)) {
    case TMPFS_MAGIC: return "tmpfs";
    case RAMFS_MAGIC: return "ramfs";
    case OVERLAYFS_SUPER_MAGIC: return "overlayfs";
    default: return {};
  }
}

}  // namespace

std::uint64_t check_descriptors(std::uint64_t connections, Log& log) {
  const std::uint64_t limit = raise_descriptor_limit();
  const std::uint64_t enough_for = limit - std::min(limit / 2, kOtherDescriptors);
  if (connections > 0 && enough_for < connections)
    log.warn(LogEvent::few_descriptors, "limits.connections is " + grouped(connections) + ", but only " +
                                            grouped(limit) + " descriptors may be open (LimitNOFILE=, ulimit -n): " +
                                            "enough for " + grouped(enough_for) + " connections");
  return enough_for;
}

void check_file_system(const std::string& directory, Log& log) {
  const std::string type = volatile_file_system(directory);
  if (type.empty()) return;
  const std::string fate =
      type == "overlayfs" ? "gone with the container, or never leaves it" : "gone with the next boot";
  log.warn(LogEvent::volatile_store,
           directory + " is on " + type + ": what is acknowledged is " + fate + "; mount a disk or a volume there");
}

bool is_systemd_service() { return std::getenv("INVOCATION_ID") != nullptr && ::getppid() == 1; }

std::string path_hint(int error, const std::string& path) {
  const bool is_forbidden = error == EROFS || error == EACCES || error == EPERM;
  return is_forbidden && is_systemd_service() ? drop_in("ReadWritePaths=" + path) : "";
}

std::string port_hint(int error, std::uint16_t port) {
  const bool is_forbidden = error == EACCES || error == EPERM;
  if (!is_forbidden || port == 0 || port >= kFirstFreePort || !is_systemd_service()) return {};
  return drop_in("AmbientCapabilities=CAP_NET_BIND_SERVICE  CapabilityBoundingSet=CAP_NET_BIND_SERVICE");
}

bool group_exists(const std::string& group) { return ::getgrnam(group.c_str()) != nullptr; }

std::string give_to_group(const std::string& folder, const std::string& group) {
  const struct group* entry = ::getgrnam(group.c_str());
  if (entry == nullptr) return "inbox.group: there is no group " + group;
  if (::chown(folder.c_str(), static_cast<uid_t>(-1), entry->gr_gid) < 0)
    return folder + " cannot be given to group " + group + " (" + std::strerror(errno) + ")";
  ::chmod(folder.c_str(), kInboxMode);
  return {};
}

}  // namespace cproto
