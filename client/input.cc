#include "client/input.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace cproto::client {

int Input::open(const std::string& path) {
  close();
  // O_NONBLOCK: opening a named pipe does not wait for its writer; poll does that.
  fd_ = path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  struct stat info {};
  if (fd_ < 0 || ::fstat(fd_, &info) != 0) return errno;
  if (S_ISDIR(info.st_mode)) return EISDIR;
  is_regular_ = S_ISREG(info.st_mode) || S_ISBLK(info.st_mode);
  has_writer_ = S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode);
  must_watch_ = !is_regular_ && watch();
  return 0;
}

void Input::close() {
  poll_.reset();
  if (watch_fd_ >= 0) ::close(watch_fd_);
  if (fd_ > STDIN_FILENO) ::close(fd_);
  fd_ = watch_fd_ = -1;
  buffer_.clear();
  is_readable_ = is_at_end_ = false;
}

// libuv would make the descriptor non-blocking, and with it the terminal or pipe that others have open, too. An epoll
// of our own leaves it as it is. Returns false for what cannot be watched (/dev/null): reading that never waits.
bool Input::watch() {
  watch_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  if (watch_fd_ < 0 || ::epoll_ctl(watch_fd_, EPOLL_CTL_ADD, fd_, &event) != 0) return false;
  poll_.reset(new uv_poll_t);
  if (uv_poll_init(loop_, poll_.get(), watch_fd_) != 0) {
    delete poll_.release();
    return false;
  }
  poll_->data = this;
  return true;
}

Input::Got Input::fill() {
  if (is_at_end_) return Got::end;
  if (must_watch_ && !is_readable_) {
    uv_poll_start(poll_.get(), UV_READABLE, on_readable);
    return Got::wait;
  }
  const std::span<std::uint8_t> room = buffer_.room();
  is_readable_ = false;
  ssize_t size = 0;
  do {
    size = ::read(fd_, room.data(), room.size());
  } while (size < 0 && errno == EINTR);
  if (size < 0 && errno == EAGAIN && must_watch_) return fill();
  if (size < 0) {
    error_ = errno;
    return Got::failed;
  }
  buffer_.add(static_cast<std::size_t>(size));
  is_at_end_ = size == 0;
  return is_at_end_ ? Got::end : Got::some;
}

// The wake may read, and then goes on being told; if it has no use for more, the poll rests.
void Input::on_readable(uv_poll_t* poll, int, int) {
  auto* self = static_cast<Input*>(poll->data);
  if (self == nullptr) return;
  self->is_readable_ = true;
  const std::function<void()> wake = self->wake_;
  wake();
  if (poll->data == nullptr) return;  // closed meanwhile, or gone
  if (self->is_readable_) uv_poll_stop(poll);
}

}  // namespace cproto::client
