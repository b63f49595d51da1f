#include "daemon/surroundings.h"

#include <grp.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace cproto {

namespace {

constexpr std::uint32_t kInboxMode = 02750;
constexpr std::uint16_t kFirstFreePort = 1024;

std::string drop_in(const std::string& lines) {
  return "; the service's sandbox forbids it: systemctl edit cprotod, and add  [Service] " + lines;
}

}  // namespace

std::uint64_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

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
