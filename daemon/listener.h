// The sockets the daemon listens on, and the connections that came from them. Counts and limits; what is said on a
// connection is not its business.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/connection.h"

namespace cproto {

struct ListenerOptions {
  std::vector<std::string> hosts;     // addresses, or "*"
  std::uint16_t port = 0;             // 0: a free one
  std::uint32_t connections_max = 0;  // 0: no limit, as for the next
  std::uint32_t connections_per_address_max = 0;
  bool may_be_open = false;  // [listen] insecure: to other hosts than this one
  std::vector<int>
      inherited;  // listening sockets of the service manager: then `hosts` and `port` only say what to expect
};

class Listener {
 public:
  Listener(ConnectionShared& shared, const ListenerOptions& options);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  struct Problem {
    int error = 0;  // of libuv
    std::string sentence;
  };
  // Binds and listens on every host. On a problem nothing is left open.
  [[nodiscard]] std::unique_ptr<Problem> open();
  // Changes the limits of a running one.
  void set_limits(std::uint32_t connections_max, std::uint32_t connections_per_address_max);
  // "127.0.0.1:7780, [::1]:7780"
  const std::string& addresses() const { return addresses_; }
  // Something it listens on is no loopback address.
  bool is_open_to_others() const { return is_open_to_others_; }
  std::uint16_t port() const { return port_; }

  // Takes no more connections.
  void stop_listening();
  // Asks every client to pause and come back.
  void pause_all(Duration retry_after);
  void close_all();
  // The store has room again: whoever waited reads on.
  void on_room();

  std::size_t connections() const { return connections_.size(); }
  std::uint64_t refused() const { return refused_; }
  void set_on_empty(std::function<void()> on_empty) { on_empty_ = std::move(on_empty); }

 private:
  struct Socket;
  std::unique_ptr<Problem> open_one(const std::string& host);
  std::unique_ptr<Problem> open_inherited();
  // Binds nothing: the socket is.
  int listen(Socket* socket);
  void on_connection(uv_stream_t* listener, int status);
  void on_gone(Connection& connection);
  bool is_too_many(const std::string& host) const;

  ConnectionShared& shared_;
  ListenerOptions options_;
  std::uint16_t port_;
  std::string addresses_;
  bool is_open_to_others_ = false;
  std::vector<Socket*> sockets_;
  std::unordered_map<Connection*, std::unique_ptr<Connection>> connections_;
  std::unordered_map<std::string, std::uint32_t> per_address_;
  std::vector<Connection*> waiting_;
  std::function<void()> on_empty_;
  std::uint64_t refused_ = 0;
  Instant refusal_said_at_ = Instant::min();
};

}  // namespace cproto
