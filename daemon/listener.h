// The sockets the daemon listens on, and the connections that came from them. Counts and limits; what is said on a
// connection is not its business.
//
// At a limit, whoever has not completed its handshake makes room for the newest, the oldest first: so a flood of those
// who take their time over it fills nothing, and a client needs only to be done before a whole limit's worth came
// behind it. An address pays with its own, as long as it has any. Where nobody can make room, the newest is refused.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/acceptor.h"
#include "daemon/connection.h"
#include "daemon/repeats.h"

namespace cproto {

// Of connections. 0: no limit.
struct ConnectionLimits {
  std::uint64_t all = 0;
  std::uint64_t per_address = 0;
  std::uint64_t handshakes = 0;   // not yet complete
  std::uint64_t descriptors = 0;  // how many there are descriptors for, beside those the store needs
};

struct ListenerOptions {
  std::vector<std::string> hosts;  // addresses, or "*"
  std::uint16_t port = 0;          // 0: a free one
  ConnectionLimits limits;
  bool may_be_open = false;  // [listen] insecure, or [tls]: to other hosts than this one
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
    int error = 0;  // errno
    std::string sentence;
  };
  // Binds and listens on every host. On a problem nothing is left open.
  [[nodiscard]] std::unique_ptr<Problem> open();
  // Changes the limits of a running one.
  void set_limits(const ConnectionLimits& limits) { options_.limits = limits; }
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
  // Keys changed: whoever came with one that is gone goes.
  void review();
  // The store has room again: whoever waited reads on.
  void on_room();

  std::size_t connections() const { return connections_.size(); }
  // Of them, with a handshake not yet complete.
  std::size_t handshakes() const { return handshakes_.size(); }
  void set_on_empty(std::function<void()> on_empty) { on_empty_ = std::move(on_empty); }

 private:
  enum class Limit : std::uint8_t { none, all, per_address, handshakes, descriptors };

  std::unique_ptr<Problem> open_one(const std::string& host);
  std::unique_ptr<Problem> open_inherited();
  // `fd` is bound, and listens from now on. Returns 0 or errno; it is closed then.
  int listen(int fd);
  void on_taken(int fd);
  void on_not_taken(int error);
  void on_closing(Connection& connection);
  void on_gone(const Connection& connection);
  Limit exceeded(const std::string& host) const;
  void make_room(Connection& newest, Limit limit);
  Connection* oldest_handshake_of(std::string_view host) const;
  void say_refused(const Connection& connection, Limit limit);

  ConnectionShared& shared_;
  ListenerOptions options_;
  std::uint16_t port_;
  std::string addresses_;
  bool is_open_to_others_ = false;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  std::vector<std::unique_ptr<Connection>> connections_;  // each at its place
  std::size_t open_ = 0;                                  // of the connections; the others are closing
  std::map<std::uint64_t, Connection*> handshakes_;       // not yet complete, in the order they came
  std::unordered_map<std::string, std::uint32_t> per_address_;
  std::vector<Connection*> waiting_;
  std::function<void()> on_empty_;
  std::uint64_t last_serial_ = 0;
  Repeats refusals_;
  Repeats failures_;
};

}  // namespace cproto
