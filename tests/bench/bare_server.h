// The limit of any server of this kind: takes cproto's frames, checks their CRC-32, and acknowledges them after one
// append and fdatasync for all that came in one round. No sessions, no duplicates, no recovery, no inbox. The file is
// preallocated, with zeros really written, and written over from its front again, as the segments of the journal are.
#pragma once

#include <memory>
#include <string>

#include "tests/bench/child.h"
#include "tests/bench/socket.h"

namespace cproto::bench {

class BareServer {
 public:
  // How much it takes from a connection in one round: what one read of 1 MiB gives, or all there is, for fewer and
  // larger batches.
  enum class Reads { once, all };
  // In a process of its own, that ends with this. The file is in `directory`. nullptr with errno set if it cannot be.
  static std::unique_ptr<BareServer> start(const std::string& directory, Reads reads);

  pid_t pid() const { return child_->pid(); }
  const sockaddr_storage& address() const { return address_; }

 private:
  std::unique_ptr<Child> child_;
  sockaddr_storage address_{};
};

}  // namespace cproto::bench
