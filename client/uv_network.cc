#include "client/uv_network.h"

#include <utility>

namespace cproto::client {

void UvNetwork::on_connected(Handle<uv_tcp_t> tcp, const std::string& address) {
  connection_ = std::make_unique<Connection>(std::move(tcp), tls_, server_name_.empty() ? host_ : server_name_);
  connection_->start(this);
  transfer_->on_connected(now(), address, connection_->set_congestion(congestion_));
}

void UvNetwork::finish() {
  if (connection_) connection_->finish();
}

void UvNetwork::on_gone(const std::string& reason, const TlsTrouble& tls) {
  connection_.reset();
  transfer_->on_gone(now(), reason, tls);
}

void UvNetwork::set_deadline(Instant at) {
  if (std::exchange(deadline_, at) == at) return;
  if (at == kNever) return timer_.stop();
  timer_.arm(at - now());
}

void UvNetwork::on_timer() {
  deadline_ = kNever;
  transfer_->handle_timeout(now());
}

void UvNetwork::on_over() {
  connector_.cancel();
  connection_.reset();
  timer_.stop();
  uv_stop(loop_);
}

}  // namespace cproto::client
