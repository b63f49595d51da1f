// A stream of NATS JetStream. What may wait (connecting, asking, writing to a socket) is done on threads; libnats has
// its own besides. Everything they have to say is handed to the loop, and the owner hears it there.
#pragma once

#include <uv.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "daemon/stream.h"

namespace cproto {

struct NatsStreamOptions {
  std::vector<std::string> servers;  // "nats://127.0.0.1:4222", "tls://nats.example.org"
  std::string credentials;           // a file of nsc(1); empty: none
  std::string ca;                    // a file of certificates that servers show one of; empty: the system's
  std::string stream = "cproto";
  bool creates = true;  // it if it is not there: with
  unsigned replicas = 1;
  std::uint64_t bytes_max = 0;   // 0: what the servers allow
  std::uint64_t age_max_ns = 0;  // 0: kept for good
};

class NatsStream final : public Stream {
 public:
  NatsStream(uv_loop_t* loop, NatsStreamOptions options);
  // Ends the threads and closes the handle; the loop has to run once more.
  ~NatsStream() override;

  void set_owner(Owner* owner) override;
  void open() override;
  void publish(std::uint64_t ticket, Publication publication) override;
  void find_last(std::uint64_t ticket, const std::string& subject) override;

 private:
  struct Worker;

  std::shared_ptr<Worker> worker_;
};

}  // namespace cproto
