#include "tests/bench/place.h"

#include <netdb.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <climits>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace cproto::bench {

std::unique_ptr<TemporaryDirectory> TemporaryDirectory::make(const std::string& parent) {
  char absolute[PATH_MAX];
  if (::realpath(parent.c_str(), absolute) == nullptr) return nullptr;
  std::string path = std::string(absolute) + "/cproto-bench.XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return nullptr;
  return std::unique_ptr<TemporaryDirectory>(new TemporaryDirectory(path));
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

// Of the mounts that hold the path, the one with the longest name; of several under one name, the last.
std::string file_system_of(const std::string& path) {
  std::ifstream mounts("/proc/self/mounts");
  std::string best = "?";
  std::size_t best_size = 0;
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string device, mount, type;
    words >> device >> mount >> type;
    const std::string folder = mount == "/" ? "/" : mount + "/";
    if (mount.size() < best_size || (path + "/").compare(0, folder.size(), folder) != 0) continue;
    best_size = mount.size();
    best = type + " on " + device;
  }
  return best;
}

std::optional<sockaddr_storage> resolve(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found) != 0) return std::nullopt;
  sockaddr_storage storage{};
  std::memcpy(&storage, found->ai_addr, found->ai_addrlen);
  ::freeaddrinfo(found);
  return storage;
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

std::uint64_t descriptor_limit() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

}  // namespace cproto::bench
