#include "tests/bench/copying.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "proto/random.h"
#include "tests/bench/clock.h"

namespace cproto::bench {

namespace {

constexpr Duration kPoll = 10ms;
constexpr Duration kStartTimeout = 5s;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// One that nobody listened on a moment ago.
std::uint16_t unused_port() {
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(fd);
  return ntohs(address.sin_port);
}

bool listens(std::uint16_t port) {
  const sockaddr_in address = loopback(port);
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  const bool is_there = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return is_there;
}

}  // namespace

bool make_file(const std::string& path, std::uint64_t size) {
  Random random(1);
  std::vector<std::uint64_t> block(1u << 17);
  for (std::uint64_t& word : block) word = random.next();
  std::ofstream file(path, std::ios::binary);
  for (std::uint64_t left = size; left > 0;) {
    const std::uint64_t part = std::min<std::uint64_t>(left, block.size() * sizeof block[0]);
    block[0] = left;  // no two blocks are the same
    file.write(reinterpret_cast<const char*>(block.data()), static_cast<std::streamsize>(part));
    left -= part;
  }
  return static_cast<bool>(file.flush());
}

bool make_sparse_file(const std::string& path, std::uint64_t size) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  const bool is_made = ::ftruncate(fd, static_cast<off_t>(size)) == 0;
  ::close(fd);
  return is_made;
}

std::optional<Duration> time_of(const std::vector<std::string>& command, const std::string& log) {
  const Instant begin = now();
  const std::unique_ptr<Child> child = Child::start(command, log);
  if (child == nullptr || child->wait() != 0) return std::nullopt;
  return now() - begin;
}

bool write_lines(const std::string& path, ByteView line, std::uint64_t count) {
  std::ofstream file(path, std::ios::binary);
  for (std::uint64_t i = 0; i < count; ++i) file << as_text(line) << '\n';
  return static_cast<bool>(file.flush());
}

std::vector<std::string> sending(const std::string& server, const std::string& path, const std::string& state,
                                 const std::string& program) {
  return {own_folder() + "/" + program, "-s", server, "-i", "bench-file", "--state", state, path};
}

std::vector<std::string> sending_lines(const std::string& server, const std::string& path, const std::string& state) {
  return {own_folder() + "/cproto-send", "-q", "-s", server, "-i", "bench-lines", "--state", state, "--lines", path};
}

std::unique_ptr<RsyncDaemon> RsyncDaemon::start(const std::string& directory) {
  const std::string files = directory + "/rsync";
  const std::string config = directory + "/rsyncd.conf";
  const std::uint16_t port = unused_port();
  std::filesystem::create_directory(files);
  std::ofstream(config) << "use chroot = no\nuid = " << ::getuid() << "\ngid = " << ::getgid()
                        << "\n[files]\npath = " << files << "\nread only = no\n";
  auto daemon = std::make_unique<RsyncDaemon>();
  daemon->child_ = Child::start({"rsync", "--daemon", "--no-detach", "--address=127.0.0.1",
                                 "--port=" + std::to_string(port), "--config=" + config},
                                directory + "/rsync.log");
  if (daemon->child_ == nullptr) return nullptr;
  daemon->address_ = "rsync://127.0.0.1:" + std::to_string(port) + "/files/";
  for (const Instant begin = now(); now() - begin < kStartTimeout && !daemon->child_->has_ended();) {
    if (listens(port)) return daemon;
    std::this_thread::sleep_for(kPoll);
  }
  return nullptr;
}

}  // namespace cproto::bench
