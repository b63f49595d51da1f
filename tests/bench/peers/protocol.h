// One side of a wire protocol as the plain load speaks it: sends the same message again and again, and counts what the
// server acknowledges. Bytes in, bytes out; knows no socket. One file of this folder for each protocol.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "proto/bytes.h"

namespace cproto::bench {

class Protocol {
 public:
  virtual ~Protocol() = default;

  // What a connection says first.
  virtual void greet(Bytes& out) = 0;
  // Appends the next message.
  virtual void message(Bytes& out) = 0;

  struct Heard {
    std::size_t bytes = 0;           // of the input, that were whole answers
    std::uint64_t acknowledged = 0;  // messages, by them
    bool is_ready = false;           // messages may be sent
    std::string trouble;             // empty if there was none
  };
  // Takes whole answers off the front of `bytes`. What has to be said at once is appended to `out`.
  virtual Heard hear(ByteView bytes, Bytes& out) = 0;
};

// Makes one for each connection. The view given to them outlives them.
using MakeProtocol = std::unique_ptr<Protocol> (*)(std::size_t connection, ByteView payload);

// cproto's frames with nothing around them: what the bare server speaks.
std::unique_ptr<Protocol> make_bare(std::size_t connection, ByteView payload);
// XADD to one stream.
std::unique_ptr<Protocol> make_redis(std::size_t connection, ByteView payload);
// PUBLISH at quality of service 1 or 2 to one topic; MQTT 3.1.1.
std::unique_ptr<Protocol> make_mqtt1(std::size_t connection, ByteView payload);
std::unique_ptr<Protocol> make_mqtt2(std::size_t connection, ByteView payload);
// `syslog` commands; RELP version 0.
std::unique_ptr<Protocol> make_relp(std::size_t connection, ByteView payload);
// PUB to a subject that a JetStream stream takes, with an inbox for the acknowledgements.
std::unique_ptr<Protocol> make_nats(std::size_t connection, ByteView payload);

}  // namespace cproto::bench
