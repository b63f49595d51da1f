// Files, and the programs that copy them: cproto-send, and others to compare it with.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/bytes.h"
#include "proto/time.h"
#include "tests/bench/child.h"

namespace cproto::bench {

bool write_lines(const std::string& path, ByteView line, std::uint64_t count);
// Makes a file of so many bytes that are no zeros and cannot be compressed, or one of zeros that takes no space. False
// with errno set if it cannot.
bool make_file(const std::string& path, std::uint64_t size);
bool make_sparse_file(const std::string& path, std::uint64_t size);

// How long a command took that ended with 0; nullopt if it ended otherwise. What it said is in `log`.
std::optional<Duration> time_of(const std::vector<std::string>& command, const std::string& log);

// cproto-send, or a `program` like it, from beside this program, with a file. `state`: a directory for what it
// remembers.
std::vector<std::string> sending(const std::string& server, const std::string& path, const std::string& state,
                                 const std::string& program = "cproto-send");

// The same with the lines of a file, in burst, as a new transfer.
std::vector<std::string> sending_lines(const std::string& server, const std::string& path, const std::string& state);

// An rsync daemon that takes files into a directory.
class RsyncDaemon {
 public:
  // nullptr where there is no rsync, or it does not listen.
  static std::unique_ptr<RsyncDaemon> start(const std::string& directory);
  // "rsync://127.0.0.1:40123/files/"
  const std::string& address() const { return address_; }

 private:
  std::unique_ptr<Child> child_;
  std::string address_;
};

}  // namespace cproto::bench
