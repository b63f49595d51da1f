// Exit statuses, and which of several causes counts. A status once released keeps its meaning.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

namespace cproto::client {

enum class Status : int {
  ok = 0,
  usage = 64,          // wrong arguments, nothing to send, no usable client id
  data_error = 65,     // some refused for good; the rest is durable
  no_input = 66,       // an input is missing or unreadable; the others are durable
  no_host = 68,        // the host name does not exist
  unavailable = 69,    // server not reached within the timeout
  software = 70,       // a bug
  os_error = 71,       // no descriptors, no memory
  cant_create = 73,    // the state directory cannot be written
  io_error = 74,       // reading failed midway
  temp_fail = 75,      // reached, but nothing became durable within the timeout
  protocol = 76,       // not a cproto server, no common version, another store, session forgotten
  no_permission = 77,  // identity or right refused
};

// The causes of an end that is not a success.
class Causes {
 public:
  void add(Status status);
  // The one that counts; ok where there is none.
  Status status() const;
  // All of them, the one that counts first.
  const std::vector<Status>& all() const { return causes_; }

 private:
  std::vector<Status> causes_;
};

}  // namespace cproto::client
