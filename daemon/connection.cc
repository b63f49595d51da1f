#include "daemon/connection.h"

#include <unistd.h>

#include <algorithm>

namespace cproto {

namespace {

constexpr Duration kLinger = 1s;
constexpr std::uint8_t kTlsHandshake = 0x16;
// What acknowledgements need of memory stays; what a handshake needed goes with it.
constexpr std::size_t kTlsOutputKept = 1024;

// "192.0.2.9:51234", "[2001:db8::1]:51234".
std::string peer_address(const uv_tcp_t& tcp) {
  sockaddr_storage storage{};
  int size = sizeof storage;
  if (uv_tcp_getpeername(&tcp, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return "?";
  char name[64] = "?";
  uv_ip_name(reinterpret_cast<const sockaddr*>(&storage), name, sizeof name);
  if (storage.ss_family == AF_INET6) {
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    return "[" + std::string(name) + "]:" + std::to_string(ntohs(in6->sin6_port));
  }
  return std::string(name) + ":" + std::to_string(ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port));
}

}  // namespace

Connection::Connection(ConnectionShared& shared, std::uint64_t serial) : shared_(shared), serial_(serial) {
  uv_tcp_init(shared.reactor.loop(), &tcp_);
  tcp_.data = this;
}

Connection::~Connection() { shared_.reactor.deadlines().remove(*this); }

int Connection::open(int fd) {
  if (const int error = uv_tcp_open(&tcp_, fd)) {
    ::close(fd);
    return error;
  }
  uv_tcp_nodelay(&tcp_, 1);
  const Instant now = shared_.reactor.now();
  peer_ = std::make_unique<Peer>(now, shared_.store, static_cast<Wire&>(*this), shared_.log, shared_.counters,
                                 shared_.world, peer_address(tcp_), shared_.session, shared_.window_bytes);
  shared_.reactor.deadlines().set(*this, now + shared_.session.handshake_timeout);
  start_reading();
  return 0;
}

std::string_view Connection::host() const { return peer_ ? host_of(peer_->address()) : std::string_view{}; }

void Connection::start_reading() {
  const auto allocate = [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
    const auto* self = static_cast<Connection*>(handle->data);
    Bytes& shared = self->shared_.read_buffer;
    // What is read must find a place in the batch being gathered; a connection that gets none stops for a while.
    std::size_t room = self->is_finishing_ ? shared.size() : std::min(shared.size(), self->peer_->room());
    if (self->has_had_its_turn()) room = 0;
    *buffer = uv_buf_init(reinterpret_cast<char*>(shared.data()), static_cast<unsigned>(room));
  };
  const auto read = [](uv_stream_t* stream, ssize_t count, const uv_buf_t*) {
    static_cast<Connection*>(stream->data)->on_read(count);
  };
  uv_read_start(stream(), allocate, read);
}

// libuv would read on for as long as there is more: the disk's answers, and everybody else, would wait for who sends
// most.
bool Connection::has_had_its_turn() const {
  const std::uint64_t round = shared_.reactor.rounds();
  if (shared_.reader == this && shared_.reader_round == round) return true;
  // A TLS handshake takes the processor for a quarter of a millisecond: one a round, and whoever is there already goes
  // on between.
  return awaits_handshake() && shared_.handshake_round == round;
}

bool Connection::awaits_handshake() const {
  return !is_finishing_ && (tls_ ? !tls_->is_open() : !is_begun_ && shared_.tls != nullptr);
}

void Connection::on_read(ssize_t count) {
  if (count == 0 || is_closing_) return;
  if (count == UV_ENOBUFS) return has_had_its_turn() ? void() : peer_->on_full();
  shared_.reader = this;
  shared_.reader_round = shared_.reactor.rounds();
  if (count < 0) return count == UV_EOF ? on_end() : close();
  if (is_finishing_) return;  // lingering: what still comes is of no use
  const ByteView bytes = ByteView(shared_.read_buffer).first(static_cast<std::size_t>(count));
  if (!is_begun_ && !begin(bytes)) return;
  tls_ ? on_encrypted(bytes) : peer_->receive(bytes);
}

// --- TLS ---

// PROTOCOL §12.1. No frame of a client begins like a record of a TLS handshake. False: it is sent away.
bool Connection::begin(ByteView first) {
  is_begun_ = true;
  if (shared_.tls && first.front() == kTlsHandshake) {
    tls_ = std::make_unique<TlsStream>(shared_.tls);
    return true;
  }
  if (shared_.tls && !shared_.allows_plain) {
    peer_->refuse_plain(first);
    return false;
  }
  peer_->identify(shared_.authority, {});
  return true;
}

void Connection::on_encrypted(ByteView bytes) {
  if (!tls_->is_open()) shared_.handshake_round = shared_.reactor.rounds();
  shared_.decrypted.resize(shared_.read_buffer.size());
  const bool was_open = tls_->is_open();
  tls_->receive(bytes);
  ByteView plain = tls_->read(shared_.decrypted);
  if (!was_open && tls_->is_open()) on_tls_open();
  for (; !plain.empty(); plain = tls_->read(shared_.decrypted))
    if (!is_finishing_ && !is_closing_) peer_->receive(plain);
  if (is_closing_) return;
  flush_tls();
  if (tls_->trouble().kind != TlsTrouble::Kind::none && !is_finishing_) on_tls_ended();
}

void Connection::on_tls_open() {
  ++shared_.counters.tls_handshakes;
  peer_->identify(shared_.authority, shared_.authority.identify(*tls_));
  review();  // the key was there when the handshake began
}

// In order, or by a failure, of which the other side has the alert.
void Connection::on_tls_ended() {
  const TlsTrouble& trouble = tls_->trouble();
  if (trouble.kind == TlsTrouble::Kind::closed) return on_end();
  peer_->on_tls_failed(trouble.detail.empty() ? "no reason is given" : trouble.detail);
  finish();
}

void Connection::flush_tls() {
  if (writing_ || tls_->output().empty()) return;
  Bytes& output = tls_->output();
  send(output);
  if (output.capacity() > kTlsOutputKept) output = {};
  output.clear();
}

void Connection::review() {
  if (!tls_ || !tls_->is_open() || tls_->key() == nullptr || is_finishing_ || is_closing_) return;
  if (!shared_.tls || shared_.tls->find_key(tls_->key()->id) == nullptr) peer_->expel(ErrorCode::identity_gone);
}

// --- output ---

void Connection::on_end() {
  if (is_finishing_) return close();
  uv_read_stop(stream());
  peer_->receive_end();
}

Bytes& Connection::write_buffer() {
  shared_.write_buffer.clear();
  return shared_.write_buffer;
}

// Most of what we say is small and fits the socket: one system call and no callback.
void Connection::write() {
  if (is_closing_) return;
  if (!tls_) return send(shared_.write_buffer);
  tls_->write(shared_.write_buffer);
  flush_tls();
}

void Connection::send(const Bytes& output) {
  uv_buf_t buffer = uv_buf_init(const_cast<char*>(reinterpret_cast<const char*>(output.data())),
                                static_cast<unsigned>(output.size()));
  const int count = uv_try_write(stream(), &buffer, 1);
  const std::size_t written = count > 0 ? static_cast<std::size_t>(count) : 0;
  if (written == output.size()) return;
  if (count < 0 && count != UV_EAGAIN) return;  // reading will tell the same
  writing_ = std::make_unique<Writing>();
  writing_->request.data = this;
  writing_->bytes.assign(output.begin() + static_cast<std::ptrdiff_t>(written), output.end());
  buffer = uv_buf_init(reinterpret_cast<char*>(writing_->bytes.data()), static_cast<unsigned>(writing_->bytes.size()));
  uv_write(&writing_->request, stream(), &buffer, 1,
           [](uv_write_t* request, int status) { static_cast<Connection*>(request->data)->on_written(status); });
}

void Connection::on_written(int status) {
  writing_.reset();
  if (is_closing_) return;
  if (status < 0) return close();
  if (tls_) flush_tls();
  if (writing_) return;
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
  if (shutdown_request_ || is_closing_) return;
  if (tls_) {
    tls_->close();
    flush_tls();
  }
  shutdown_request_ = std::make_unique<uv_shutdown_t>();
  uv_shutdown(shutdown_request_.get(), stream(), [](uv_shutdown_t*, int) {});
}

void Connection::finish() {
  if (is_finishing_ || is_closing_) return;
  is_finishing_ = true;
  shared_.reactor.deadlines().set(*this, shared_.reactor.now() + kLinger);
  if (!writing_) linger();
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
    if (can_write()) {
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
