#include "daemon/control_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <sstream>
#include <utility>

#include "daemon/exit_status.h"

namespace cproto {

namespace {

constexpr std::size_t kRequestMax = 4096;
constexpr std::size_t kCallersMax = 32;
constexpr Duration kRequestTime = 5s;
constexpr Duration kReadTime = 10s;
constexpr std::uint32_t kMode = 0660;

}  // namespace

// One who asks. Gone once the answer is written, or its deadline has come.
struct ControlSocket::Caller final : Timed {
  explicit Caller(ControlSocket& socket) : owner(socket) {}

  void on_read(ssize_t count);
  void answer(const Reply& reply);
  void close();
  void on_deadline() override { close(); }

  ControlSocket& owner;
  uv_pipe_t pipe{};
  uv_write_t write{};
  char buffer[kRequestMax];
  std::string request;
  std::string reply;
  bool was_asked = false;
  bool is_closing = false;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

std::string ControlSocket::open(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return path + " is too long a name for a socket";
  path.copy(address.sun_path, path.size());
  ::unlink(path.c_str());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return path + ": " + std::strerror(errno);
  auto acceptor = std::make_unique<Acceptor>(
      reactor_, fd, Acceptor::Callbacks{[this](int taken) { on_taken(taken); }, on_not_taken_});
  int error = 0;
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::chmod(path.c_str(), kMode) != 0 || ::listen(fd, static_cast<int>(kCallersMax)) != 0)
    error = errno;
  if (error == 0) error = acceptor->start();
  if (error != 0) return path + ": " + std::strerror(error);
  path_ = path;
  acceptor_ = std::move(acceptor);
  return {};
}

void ControlSocket::close() {
  if (acceptor_ == nullptr) return;
  acceptor_.reset();
  ::unlink(path_.c_str());
  for (Caller* caller : std::set(callers_)) caller->close();
}

void ControlSocket::on_taken(int fd) {
  auto* caller = new Caller(*this);
  uv_pipe_init(reactor_.loop(), &caller->pipe, 0);
  caller->pipe.data = caller;
  callers_.insert(caller);
  if (uv_pipe_open(&caller->pipe, fd) != 0) {
    ::close(fd);
    return caller->close();
  }
  if (callers_.size() > kCallersMax)
    return caller->answer({exit_status::kTemporaryFailure, "too many ask at once; ask again later\n"});
  reactor_.deadlines().set(*caller, reactor_.now() + kRequestTime);
  uv_read_start(
      reinterpret_cast<uv_stream_t*>(&caller->pipe),
      [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
        auto* self = static_cast<Caller*>(handle->data);
        *buffer = uv_buf_init(self->buffer, sizeof self->buffer);
      },
      [](uv_stream_t* stream, ssize_t count, const uv_buf_t*) { static_cast<Caller*>(stream->data)->on_read(count); });
}

void ControlSocket::Caller::on_read(ssize_t count) {
  if (count < 0) return close();  // gone; whoever works on its answer finds that out
  if (was_asked) return;
  request.append(buffer, static_cast<std::size_t>(count));
  const std::size_t end = request.find('\n');
  if (end == std::string::npos) return request.size() > kRequestMax ? close() : void();
  was_asked = true;
  owner.reactor_.deadlines().remove(*this);  // now it is we who are waited for
  Request asked;
  std::istringstream words(request.substr(0, end));
  for (std::string word; words >> word;) asked.words.push_back(word);
  ucred peer{};
  socklen_t size = sizeof peer;
  uv_os_fd_t fd = -1;
  uv_fileno(reinterpret_cast<uv_handle_t*>(&pipe), &fd);
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0) asked.user = peer.uid;
  owner.handle_(asked, [this, weak = std::weak_ptr(alive)](const Reply& given) {
    if (!weak.expired() && !is_closing) answer(given);
  });
}

void ControlSocket::Caller::answer(const Reply& given) {
  reply = std::to_string(given.status) + "\n" + given.text;
  owner.reactor_.deadlines().set(*this, owner.reactor_.now() + kReadTime);
  uv_buf_t rest = uv_buf_init(reply.data(), static_cast<unsigned>(reply.size()));
  // At once, as far as it fits: the daemon may be about to end.
  const int written = uv_try_write(reinterpret_cast<uv_stream_t*>(&pipe), &rest, 1);
  if (written >= 0 && static_cast<std::size_t>(written) == reply.size()) return close();
  if (written > 0)
    rest = uv_buf_init(rest.base + written, static_cast<unsigned>(reply.size()) - static_cast<unsigned>(written));
  write.data = this;
  uv_write(&write, reinterpret_cast<uv_stream_t*>(&pipe), &rest, 1,
           [](uv_write_t* done, int) { static_cast<Caller*>(done->data)->close(); });
}

void ControlSocket::Caller::close() {
  if (std::exchange(is_closing, true)) return;
  owner.reactor_.deadlines().remove(*this);
  owner.callers_.erase(this);
  uv_close(reinterpret_cast<uv_handle_t*>(&pipe),
           [](uv_handle_t* handle) { delete static_cast<Caller*>(handle->data); });
}

}  // namespace cproto
