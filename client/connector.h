// From a server's name to a connection: looks the name up, tries its addresses in turn, 5 s each. Knows nothing of when
// to try again.
//
// Happy path: start, on_connected. Failure mode: on_unreachable, with what happened at each address. One of the two
// comes once for each start(), from the loop, never from within a call; after cancel() neither.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client/addresses.h"
#include "client/loop.h"
#include "client/unreachable.h"

namespace cproto::client {

inline constexpr Duration kConnectTimeout = 5s;

class Connector {
 public:
  class Owner {
   public:
    virtual void on_connected(Handle<uv_tcp_t> tcp, const std::string& address) = 0;
    virtual void on_unreachable(const Unreachable& unreachable) = 0;

   protected:
    ~Owner() = default;
  };

  Connector(uv_loop_t* loop, Owner* owner);
  ~Connector() { cancel(); }
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

  // `rotate`: with which of the name's addresses to begin; beyond their number it goes round.
  // Pre: nothing is under way.
  void start(const ServerAddress& server, std::size_t rotate);
  void cancel();
  // A lookup that nobody waits for any more still holds a thread.
  bool has_lookup_left() const { return *lookups_ > 0; }

 private:
  struct Lookup;
  struct Attempt;

  void on_found(int error, addrinfo* found);
  void note_addresses(const addrinfo* found);
  void try_next();
  static void on_connect(uv_connect_t* request, int error);
  void on_timer();
  void abandon_attempt();
  void note_failure(int error);

  uv_loop_t* loop_;
  Owner* owner_;
  std::size_t rotate_ = 0;
  std::vector<SocketAddress> addresses_;
  std::size_t next_ = 0;
  Unreachable unreachable_;
  Lookup* lookup_ = nullptr;  // deletes itself
  std::shared_ptr<int> lookups_ = std::make_shared<int>(0);
  Attempt* attempt_ = nullptr;  // deletes itself
  Timer timer_;
};

}  // namespace cproto::client
