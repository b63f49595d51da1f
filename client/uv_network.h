// Carries a transfer out with libuv: a connector, a connection, and one timer.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "client/connection.h"
#include "client/connector.h"
#include "client/transfer.h"

namespace cproto::client {

class UvNetwork final : public Transfer::Network, Connector::Owner, Connection::Owner {
 public:
  // The loop is stopped when the run is over. `congestion`: what to ask for (congestion.h). `tls`: nullptr for plain
  // text; `server_name`: whom the server's certificate is to be for, empty: the host that is named.
  UvNetwork(uv_loop_t* loop, std::string congestion, std::shared_ptr<const TlsContext> tls, std::string server_name)
      : loop_(loop),
        congestion_(std::move(congestion)),
        tls_(std::move(tls)),
        server_name_(std::move(server_name)),
        connector_(loop, this),
        timer_(loop, [this] { on_timer(); }) {}

  // Before anything is called. `transfer` goes before the loop runs again without it.
  void serve(Transfer& transfer) { transfer_ = &transfer; }
  bool has_lookup_left() const { return connector_.has_lookup_left(); }

 private:
  // --- Transfer::Network ---
  void connect(const ServerAddress& server, std::size_t rotation) override {
    host_ = server.host;
    connector_.start(server, rotation);
  }
  bool can_write() const override { return connection_ != nullptr && connection_->can_write(); }
  Bytes& write_buffer() override { return connection_->write_buffer(); }
  void write() override { connection_->write(); }
  void finish() override;
  void set_deadline(Instant at) override;
  void on_over() override;

  // --- Connector::Owner, Connection::Owner ---
  void on_connected(Handle<uv_tcp_t> tcp, const std::string& address) override;
  void on_unreachable(const Unreachable& unreachable) override { transfer_->on_unreachable(now(), unreachable); }
  void on_bytes(ByteView bytes) override { transfer_->on_bytes(now(), bytes); }
  void on_writable() override { transfer_->on_writable(now()); }
  void on_gone(const std::string& reason, const TlsTrouble& tls) override;

  void on_timer();

  uv_loop_t* loop_;
  std::string congestion_;
  std::shared_ptr<const TlsContext> tls_;
  std::string server_name_;
  std::string host_;  // of the connection, or the next
  Transfer* transfer_ = nullptr;
  Connector connector_;
  std::unique_ptr<Connection> connection_;
  Timer timer_;
  Instant deadline_ = kNever;
};

}  // namespace cproto::client
