// A socket that listens, and those who connect to it, taken a few at a time, so that whoever is there already is served
// between. Without descriptors it rests and then looks again; who connects meanwhile waits in the kernel's queue.
//
// libuv's own listening is not used: without descriptors it closes upon whoever connects, with no word to us, and turns
// round for ever once the one it keeps for that is gone, too.
#pragma once

#include <uv.h>

#include <functional>

#include "daemon/reactor.h"

namespace cproto {

class Acceptor final : private Timed {
 public:
  struct Callbacks {
    std::function<void(int)> on_taken;   // a descriptor that is the callee's from now on: nonblocking, close-on-exec
    std::function<void(int)> on_failed;  // errno: none can be taken for a while
  };
  // `fd` listens, and is the acceptor's from now on. It is not to go within a callback.
  Acceptor(Reactor& reactor, int fd, Callbacks callbacks);
  ~Acceptor() override;
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // 0, or errno; then there is nothing to do but to let it go.
  [[nodiscard]] int start();

 private:
  void take_some();
  void rest(int error);
  int watch();
  void on_deadline() override { watch(); }

  Reactor& reactor_;
  int fd_;
  Callbacks callbacks_;
  uv_poll_t* poll_ = nullptr;
};

}  // namespace cproto
