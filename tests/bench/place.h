// Where a measurement happens: a temporary directory, the file system it is on, the address of a server, and the
// descriptors there are.
#pragma once

#include <sys/socket.h>

#include <memory>
#include <optional>
#include <string>

namespace cproto::bench {

// Made with a name of its own, and gone with everything in it when this is destroyed.
class TemporaryDirectory {
 public:
  // nullptr with errno set if it cannot be made.
  static std::unique_ptr<TemporaryDirectory> make(const std::string& parent);
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }  // absolute

 private:
  explicit TemporaryDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// "ext4 on /dev/sda1"; "?" if the system does not say. Pre: `path` is absolute, without links.
std::string file_system_of(const std::string& path);

// "127.0.0.1:7780", "[::1]:7780", "host:7780". Blocks while the name is looked up.
std::optional<sockaddr_storage> resolve(const std::string& address);

// As many descriptors as this process may have, and how many that are: its daemon has the same.
void raise_descriptor_limit();
std::uint64_t descriptor_limit();

}  // namespace cproto::bench
