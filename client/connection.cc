#include "client/connection.h"

#include <utility>

#include "proto/assert.h"

namespace cproto::client {

namespace {

// Only acknowledgements come this way.
constexpr std::size_t kReadBuffer = 64 * 1024;
constexpr Duration kPatience = 1s;

uv_stream_t* as_stream(uv_tcp_t* tcp) { return reinterpret_cast<uv_stream_t*>(tcp); }

}  // namespace

Connection::Connection(Handle<uv_tcp_t> tcp, std::shared_ptr<const TlsContext> tls, const std::string& server_name)
    : tcp_(std::move(tcp)),
      write_(new Write),
      tls_(tls ? std::make_unique<TlsStream>(std::move(tls), server_name) : nullptr),
      patience_(tcp_->loop, [this] { close(reason_); }),
      read_buffer_(kReadBuffer) {
  tcp_->data = this;
  write_->request.data = write_.get();
  write_->connection = this;
  uv_tcp_nodelay(tcp_.get(), 1);
  if (tls_) decrypted_.resize(kReadBuffer);
}

Connection::~Connection() {
  *alive_ = false;
  if (closing_ != nullptr) closing_->data = nullptr;
  if (!write_->is_pending) return;
  write_->connection = nullptr;
  (void)write_.release();  // on_written() deletes it
}

void Connection::start(Owner* owner) {
  owner_ = owner;
  uv_read_start(as_stream(tcp_.get()), on_allocate, on_read);
  if (!tls_) return;
  tls_->start();
  flush_tls();
}

void Connection::on_allocate(uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
  auto* self = static_cast<Connection*>(handle->data);
  *buffer = self == nullptr ? uv_buf_init(nullptr, 0)
                            : uv_buf_init(reinterpret_cast<char*>(self->read_buffer_.data()), kReadBuffer);
}

void Connection::on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t*) {
  auto* self = static_cast<Connection*>(stream->data);
  if (self == nullptr || size == 0) return;
  if (size < 0)
    return self->close(size == UV_EOF ? "the server closed the connection" : uv_strerror(static_cast<int>(size)));
  const ByteView bytes = ByteView(self->read_buffer_).first(static_cast<std::size_t>(size));
  self->tls_ ? self->on_encrypted(bytes) : self->owner_->on_bytes(bytes);
}

// Whoever hears of the bytes may delete the connection.
void Connection::on_encrypted(ByteView bytes) {
  const bool was_open = tls_->is_open();
  tls_->receive(bytes);
  for (ByteView plain = tls_->read(decrypted_); !plain.empty(); plain = tls_->read(decrypted_)) {
    const std::shared_ptr<const bool> alive = alive_;
    owner_->on_bytes(plain);
    if (!*alive || state_ == State::closing) return;
  }
  flush_tls();
  const TlsTrouble& trouble = tls_->trouble();
  if (trouble.kind == TlsTrouble::Kind::closed) return close("the server closed the connection");
  if (trouble.kind != TlsTrouble::Kind::none) return close("TLS fails: " + trouble.detail);
  if (!was_open && tls_->is_open()) owner_->on_writable();
}

// What TLS has to say for itself.
void Connection::flush_tls() {
  if (write_->is_pending || tls_->output().empty()) return;
  write_->bytes.swap(tls_->output());
  tls_->output().clear();
  send();
}

Bytes& Connection::write_buffer() {
  CPROTO_ASSERT(can_write());
  Bytes& buffer = tls_ ? plain_ : write_->bytes;
  buffer.clear();
  return buffer;
}

void Connection::write() {
  if (!tls_) return send();
  tls_->write(plain_);
  flush_tls();
}

void Connection::send() {
  Bytes& bytes = write_->bytes;
  uv_buf_t buffer = uv_buf_init(reinterpret_cast<char*>(bytes.data()), static_cast<unsigned>(bytes.size()));
  const int sent = uv_try_write(as_stream(tcp_.get()), &buffer, 1);
  if (sent < 0 && sent != UV_EAGAIN) return on_write_failed(sent);
  const std::size_t done = sent > 0 ? static_cast<std::size_t>(sent) : 0;
  if (done == bytes.size()) return;
  buffer = uv_buf_init(buffer.base + done, static_cast<unsigned>(bytes.size() - done));
  const int error = uv_write(&write_->request, as_stream(tcp_.get()), &buffer, 1, on_written);
  if (error != 0) return on_write_failed(error);
  write_->is_pending = true;
}

void Connection::on_written(uv_write_t* request, int status) {
  auto* write = static_cast<Write*>(request->data);
  write->is_pending = false;
  Connection* self = write->connection;
  if (self == nullptr) {
    delete write;
    return;
  }
  if (self->state_ == State::closing) return;
  if (status < 0) return self->on_write_failed(status);
  if (self->tls_ && !self->tls_->output().empty()) {
    self->flush_tls();
    if (write->is_pending) return;
  }
  if (self->state_ == State::finishing) return self->close({});
  self->owner_->on_writable();
}

// A server that refuses says why and closes; our bytes then fail before its are read.
void Connection::on_write_failed(int error) {
  if (state_ == State::finishing) return close({});
  state_ = State::broken;
  reason_ = uv_strerror(error);
  patience_.arm(kPatience);
}

void Connection::finish() {
  if (state_ == State::broken) return close({});
  if (state_ != State::open) return;
  if (tls_) {
    tls_->close();
    flush_tls();
  }
  if (!write_->is_pending) return close({});
  state_ = State::finishing;
  patience_.arm(kPatience);
}

void Connection::close(std::string reason) {
  if (state_ == State::closing) return;
  state_ = State::closing;
  reason_ = std::move(reason);
  patience_.stop();
  closing_ = tcp_.release();
  uv_close(as_handle(closing_), [](uv_handle_t* handle) {
    auto* self = static_cast<Connection*>(handle->data);
    delete reinterpret_cast<uv_tcp_t*>(handle);
    if (self == nullptr) return;
    self->closing_ = nullptr;
    const std::string why = self->reason_;
    const TlsTrouble tls = self->tls_ ? self->tls_->trouble() : TlsTrouble{};
    self->owner_->on_gone(why, tls);
  });
}

Congestion Connection::set_congestion(std::string_view setting) {
  uv_os_fd_t fd = -1;
  if (!tcp_ || uv_fileno(as_handle(tcp_.get()), &fd) != 0) return {};
  return client::set_congestion(fd, setting);
}

}  // namespace cproto::client
