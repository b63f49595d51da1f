// The unix socket cprotoctl speaks to. A request is one line of words; the answer is a line with an exit status, then a
// text, then the end. Knows libuv and bytes; what the words mean is the Operator's.
//
// Failure modes: one more than a few at once is told to ask later; a request too long or not whole within its deadline
// is closed upon, and so is a reader that does not read its answer.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "daemon/acceptor.h"
#include "daemon/operator.h"
#include "daemon/reactor.h"

namespace cproto {

class ControlSocket {
 public:
  // Requests go to `handle` with the number of the user who asks.
  using Handle = std::function<void(const Request& request, Answer answer)>;
  // With errno, when nobody can be taken for a while; who asks then waits.
  using NotTaken = std::function<void(int error)>;
  ControlSocket(Reactor& reactor, Handle handle, NotTaken on_not_taken)
      : reactor_(reactor), handle_(std::move(handle)), on_not_taken_(std::move(on_not_taken)) {}
  ~ControlSocket() { close(); }
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

  // Listens at `path`, which is replaced: the store's lock says that nobody else is there. For its user and group.
  // Empty, or a sentence about what is in the way.
  std::string open(const std::string& path);
  // Ends it all; whoever still waits for an answer gets none. Removes the path.
  void close();

 private:
  struct Caller;
  void on_taken(int fd);

  Reactor& reactor_;
  Handle handle_;
  NotTaken on_not_taken_;
  std::string path_;
  std::unique_ptr<Acceptor> acceptor_;
  std::set<Caller*> callers_;
};

}  // namespace cproto
