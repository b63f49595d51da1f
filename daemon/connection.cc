#include "daemon/connection.h"

#include <unistd.h>

#include <algorithm>

namespace cproto {

namespace {

constexpr Duration kLinger = 1s;

// "192.0.2.9:51234", "[2001:db8::1]:51234"; `host` without the port.
std::string peer_address(const uv_tcp_t& tcp, std::string& host) {
  sockaddr_storage storage{};
  int size = sizeof storage;
  if (uv_tcp_getpeername(&tcp, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return "?";
  char name[64] = "?";
  uv_ip_name(reinterpret_cast<const sockaddr*>(&storage), name, sizeof name);
  host = name;
  if (storage.ss_family == AF_INET6) {
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    return "[" + host + "]:" + std::to_string(ntohs(in6->sin6_port));
  }
  return host + ":" + std::to_string(ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port));
}

}  // namespace

Connection::Connection(ConnectionShared& shared, std::uint64_t serial) : shared_(shared), serial_(serial) {
  uv_tcp_init(shared.reactor.loop(), &tcp_);
  tcp_.data = write_request_.data = shutdown_request_.data = this;
}

Connection::~Connection() { shared_.reactor.deadlines().remove(*this); }

int Connection::open(int fd) {
  if (const int error = uv_tcp_open(&tcp_, fd)) {
    ::close(fd);
    return error;
  }
  uv_tcp_nodelay(&tcp_, 1);
  const std::string address = peer_address(tcp_, host_);
  const Instant now = shared_.reactor.now();
  peer_ = std::make_unique<Peer>(now, shared_.store, static_cast<Wire&>(*this), shared_.log, shared_.counters,
                                 shared_.world, address, shared_.session, shared_.window_bytes);
  shared_.reactor.deadlines().set(*this, now + shared_.session.handshake_timeout);
  start_reading();
  return 0;
}

void Connection::start_reading() {
  const auto allocate = [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
    const auto* self = static_cast<Connection*>(handle->data);
    Bytes& shared = self->shared_.read_buffer;
    // What is read must find a place in the batch being gathered; a connection that gets none stops for a while.
    const std::size_t room = self->is_finishing_ ? shared.size() : std::min(shared.size(), self->peer_->room());
    *buffer = uv_buf_init(reinterpret_cast<char*>(shared.data()), static_cast<unsigned>(room));
  };
  const auto read = [](uv_stream_t* stream, ssize_t count, const uv_buf_t*) {
    static_cast<Connection*>(stream->data)->on_read(count);
  };
  uv_read_start(stream(), allocate, read);
}

void Connection::on_read(ssize_t count) {
  if (count == 0 || is_closing_) return;
  if (count == UV_ENOBUFS) return peer_->on_full();
  if (count < 0) return count == UV_EOF ? on_end() : close();
  if (is_finishing_) return;  // lingering: what still comes is of no use
  peer_->receive(ByteView(shared_.read_buffer).first(static_cast<std::size_t>(count)));
}

void Connection::on_end() {
  if (is_finishing_) return close();
  uv_read_stop(stream());
  peer_->receive_end();
}

Bytes& Connection::write_buffer() {
  output_.clear();
  written_ = 0;
  return output_;
}

// Most of what we say is small and fits the socket: one system call and no callback.
void Connection::write() {
  if (is_closing_) return;
  uv_buf_t buffer = uv_buf_init(reinterpret_cast<char*>(output_.data()), static_cast<unsigned>(output_.size()));
  const int count = uv_try_write(stream(), &buffer, 1);
  written_ = count > 0 ? static_cast<std::size_t>(count) : 0;
  if (written_ == output_.size()) return Bytes().swap(output_);
  if (count < 0 && count != UV_EAGAIN) return;  // reading will tell the same
  buffer =
      uv_buf_init(reinterpret_cast<char*>(output_.data() + written_), static_cast<unsigned>(output_.size() - written_));
  is_writing_ = true;
  uv_write(&write_request_, stream(), &buffer, 1,
           [](uv_write_t* request, int status) { static_cast<Connection*>(request->data)->on_written(status); });
}

void Connection::on_written(int status) {
  is_writing_ = false;
  if (is_closing_) return;
  if (status < 0) return close();
  Bytes().swap(output_);
  if (is_finishing_) return linger();
  peer_->on_writable();
}

void Connection::set_deadline(Instant at) {
  if (!is_finishing_ && !is_closing_) shared_.reactor.deadlines().set(*this, at);
}

void Connection::on_deadline() {
  if (is_finishing_) return close();
  peer_->handle_timeout();
}

void Connection::set_reading(bool is_reading) {
  if (is_closing_) return;
  if (is_reading) {
    start_reading();
  } else {
    uv_read_stop(stream());
    shared_.on_waiting(*this);
  }
}

void Connection::shut_down() {
  if (is_shut_ || is_closing_) return;
  is_shut_ = true;
  uv_shutdown(&shutdown_request_, stream(), [](uv_shutdown_t*, int) {});
}

void Connection::finish() {
  if (is_finishing_ || is_closing_) return;
  is_finishing_ = true;
  shared_.reactor.deadlines().set(*this, shared_.reactor.now() + kLinger);
  if (!is_writing_) linger();
}

// Closing with unread input would reset the connection and take our last words with it: wait for the other side to
// close.
void Connection::linger() {
  shut_down();
  start_reading();
}

void Connection::on_room() {
  if (!is_finishing_ && !is_closing_) peer_->on_room();
}

void Connection::pause(Duration retry_after) {
  if (!is_finishing_ && !is_closing_) peer_->pause(retry_after);
}

bool Connection::refuse(const Error& error) {
  const bool is_listening = !is_finishing_ && !is_closing_;
  if (is_listening) {
    peer_->turn_away(error.code);
    is_finishing_ = true;
    if (!is_writing_) {
      Bytes payload;
      encode_error(error, payload);
      encode_frame(FrameType::error, {}, payload, write_buffer());
      write();
    }
  }
  close();
  return is_listening;
}

void Connection::close() {
  if (is_closing_) return;
  is_closing_ = true;
  shared_.reactor.deadlines().remove(*this);
  if (peer_) peer_->on_lost();
  shared_.on_closing(*this);
  uv_close(reinterpret_cast<uv_handle_t*>(&tcp_), [](uv_handle_t* handle) {
    auto* self = static_cast<Connection*>(handle->data);
    self->shared_.on_gone(*self);
  });
}

}  // namespace cproto
