#include "tests/bench/load_connection.h"

#include <algorithm>
#include <utility>

#include "proto/turn.h"
#include "tests/bench/clock.h"

namespace cproto::bench {

namespace {

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

ClientOptions session_options(const Syn& offer) {
  ClientOptions options;
  options.offer = offer;
  return options;
}

template <class T>
uv_handle_t* as_handle(T* handle) {
  return reinterpret_cast<uv_handle_t*>(handle);
}

}  // namespace

LoadConnection::LoadConnection(const Shared& shared, const Syn& offer)
    : shared_(shared), session_(session_options(offer)), window_(offer.window_size) {
  uv_tcp_init(shared.loop, &tcp_);
  uv_timer_init(shared.loop, &timer_);
  tcp_.data = timer_.data = connect_request_.data = write_request_.data = this;
}

void LoadConnection::connect(const sockaddr_storage& server) {
  const auto connected = [](uv_connect_t* request, int error) {
    static_cast<LoadConnection*>(request->data)->on_connected(error);
  };
  const int error = uv_tcp_connect(&connect_request_, &tcp_, reinterpret_cast<const sockaddr*>(&server), connected);
  if (error != 0) fail(uv_strerror(error));
}

void LoadConnection::on_connected(int error) {
  if (is_closing_) return;
  if (error != 0) return fail(uv_strerror(error));
  uv_tcp_nodelay(&tcp_, 1);
  const auto allocate = [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
    Bytes& shared = static_cast<LoadConnection*>(handle->data)->shared_.read_buffer;
    *buffer = uv_buf_init(reinterpret_cast<char*>(shared.data()), static_cast<unsigned>(shared.size()));
  };
  const auto read = [](uv_stream_t* stream, ssize_t size, const uv_buf_t*) {
    static_cast<LoadConnection*>(stream->data)->on_read(size);
  };
  uv_read_start(stream(), allocate, read);
  const Instant at = now();
  session_.attach(at);
  turn(at);
}

void LoadConnection::begin(std::uint64_t count) {
  count_ = count;
  if (count == 0) return shared_.owner.on_all_durable();
  if (shared_.is_timed) sent_at_.resize(shared_.is_step_by_step ? 1 : std::min<std::uint64_t>(count, window_));
  turn(now());
}

void LoadConnection::end() {
  session_.close(Disconnect::End::finish);
  turn(now());
}

// --- a turn ---

void LoadConnection::on_read(ssize_t size) {
  if (size == 0 || is_closing_) return;
  if (size < 0) return fail(size == UV_EOF ? "the server closed the connection" : uv_strerror(static_cast<int>(size)));
  const Instant at = now();
  session_.receive(at, ByteView(shared_.read_buffer).first(static_cast<std::size_t>(size)));
  turn(at);
}

void LoadConnection::turn(Instant at) {
  settle(at, session_, *this);
  while (!is_closing_ && pump()) settle(at, session_, *this);
}

// Of messages that are timed none waits in the session: the next is sent when the window has room for it.
bool LoadConnection::pump() {
  bool moved = false;
  const Instant at = sent_at_.empty() ? Instant{} : now();
  while (sent_ < count_ && session_.can_send()) {
    if (!sent_at_.empty()) {
      if (sent_ - durable_ >= sent_at_.size()) break;
      if (part_sent_ == 0) sent_at_[sent_ % sent_at_.size()] = at;
    }
    const ClientSession::Sent sent = session_.send(shared_.payload.subspan(part_sent_), true);
    part_sent_ = sent.is_complete ? 0 : part_sent_ + sent.bytes;
    sent_ += sent.is_complete ? 1u : 0u;
    moved = true;
  }
  return moved;
}

void LoadConnection::on_event(ClientEvent& event) {
  std::visit(Overloaded{
                 [&](client_event::Established& established) { shared_.owner.on_ready(established.terms); },
                 [&](client_event::Acked& acked) { on_acked(acked); },
                 [&](client_event::Refused& refused) {
                   fail(std::string("a message was refused: ") + error_name(refused.refusal.code));
                 },
                 [&](client_event::Pausing&) {},
                 [&](client_event::Failed& failed) {
                   fail(std::string(error_name(failed.error.code)) + ", " + failed.error.sentence);
                 },
                 [](client_event::Closed&) {},
             },
             event);
}

void LoadConnection::on_acked(const client_event::Acked& acked) {
  ++acknowledgements_;
  if (!sent_at_.empty()) {
    const Instant at = now();
    for (; durable_ < acked.durable_messages; ++durable_)
      shared_.owner.on_round_trip(at - sent_at_[durable_ % sent_at_.size()]);
  }
  durable_ = acked.durable_messages;
  if (durable_ == count_) shared_.owner.on_all_durable();
}

// --- the wire ---

Bytes& LoadConnection::write_buffer() {
  output_.clear();
  return output_;
}

void LoadConnection::write() {
  uv_buf_t buffer = uv_buf_init(reinterpret_cast<char*>(output_.data()), static_cast<unsigned>(output_.size()));
  const int count = uv_try_write(stream(), &buffer, 1);
  if (count < 0 && count != UV_EAGAIN) return;  // reading will tell the same
  const std::size_t done = count > 0 ? static_cast<std::size_t>(count) : 0;
  if (done == output_.size()) return;
  buffer = uv_buf_init(buffer.base + done, static_cast<unsigned>(output_.size() - done));
  is_writing_ = true;
  uv_write(&write_request_, stream(), &buffer, 1,
           [](uv_write_t* request, int error) { static_cast<LoadConnection*>(request->data)->on_written(error); });
}

void LoadConnection::on_written(int error) {
  is_writing_ = false;
  if (is_closing_) return;
  if (error != 0) return fail(uv_strerror(error));
  if (is_finishing_) return close();
  turn(now());
}

// Moving a deadline back is free: the timer finds out when it fires.
void LoadConnection::set_deadline(Instant at) {
  deadline_ = at;
  if (at >= armed_ || is_closing_) return;
  armed_ = at;
  const auto whole = std::chrono::ceil<std::chrono::milliseconds>(at - now()).count();
  const auto expired = [](uv_timer_t* timer) { static_cast<LoadConnection*>(timer->data)->on_timer(); };
  uv_timer_start(&timer_, expired, whole > 0 ? static_cast<std::uint64_t>(whole) : 0, 0);
}

void LoadConnection::on_timer() {
  armed_ = kNever;
  const Instant at = now();
  if (at < deadline_) return set_deadline(deadline_);
  session_.handle_timeout(at);
  turn(at);
}

void LoadConnection::finish() {
  is_finishing_ = true;
  if (!is_writing_) close();
}

void LoadConnection::fail(const std::string& what) {
  close();
  shared_.owner.on_trouble(what);
}

void LoadConnection::close() {
  if (std::exchange(is_closing_, true)) return;
  uv_close(as_handle(&tcp_), nullptr);
  uv_close(as_handle(&timer_), nullptr);
}

}  // namespace cproto::bench
