// Why there is no connection to a server.
#pragma once

#include <string>
#include <vector>

namespace cproto::client {

// What happened on the way to it. `error` is libuv's.
struct Unreachable {
  struct Attempt {
    std::string address;
    int error = 0;
  };
  int lookup_error = 0;  // 0: the name was found
  std::vector<Attempt> attempts;
  // The name service says for sure that there is no such host.
  bool is_unknown_host() const;
  // Not the network: this machine has no descriptors or no memory left.
  bool is_shortage() const;
};

}  // namespace cproto::client
