#include "daemon/acceptor.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace cproto {

namespace {

// In one round of the loop.
constexpr int kTakenMax = 64;
// How soon somebody who waits is taken once there are descriptors again.
constexpr Duration kRest = 200ms;

// Of the one connection, which is gone; not of the socket (accept(2) hands over what the network has to say, too).
bool is_of_connection(int error) {
  switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET: return true;
    default: return false;
  }
}

}  // namespace

Acceptor::Acceptor(Reactor& reactor, int fd, Callbacks callbacks)
    : reactor_(reactor), fd_(fd), callbacks_(std::move(callbacks)) {}

Acceptor::~Acceptor() {
  reactor_.deadlines().remove(*this);
  if (poll_ != nullptr)
    uv_close(reinterpret_cast<uv_handle_t*>(poll_),
             [](uv_handle_t* handle) { delete reinterpret_cast<uv_poll_t*>(handle); });
  ::close(fd_);
}

int Acceptor::start() {
  auto* poll = new uv_poll_t;
  if (const int error = uv_poll_init(reactor_.loop(), poll, fd_); error != 0) {
    delete poll;
    return -error;
  }
  poll_ = poll;
  poll_->data = this;
  return watch();
}

int Acceptor::watch() {
  return -uv_poll_start(poll_, UV_READABLE,
                        [](uv_poll_t* poll, int, int) { static_cast<Acceptor*>(poll->data)->take_some(); });
}

void Acceptor::take_some() {
  for (int taken = 0; taken < kTakenMax; ++taken) {
    const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    const int error = fd < 0 ? errno : 0;
    if (error == 0) {
      callbacks_.on_taken(fd);
    } else if (error == EAGAIN || error == EWOULDBLOCK) {
      return;
    } else if (!is_of_connection(error)) {
      return rest(error);
    }
  }
}

void Acceptor::rest(int error) {
  uv_poll_stop(poll_);
  reactor_.deadlines().set(*this, reactor_.now() + kRest);
  callbacks_.on_failed(error);
}

}  // namespace cproto
