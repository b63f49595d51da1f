// One turn of a host: what every callback does after it gave a session exactly one input.
#pragma once

#include <concepts>
#include <cstddef>

#include "proto/bytes.h"
#include "proto/time.h"

namespace cproto {

// What a turn may put into one write, in bytes: enough to amortise a system call, little enough to be fair.
inline constexpr std::size_t kWriteSize = 256 * 1024;

// The libuv connection and the simulator's node.
//   on_event       handles one event; may call further inputs of the session
//   can_write      nothing taken earlier is still on its way
//   write_buffer   an empty buffer to put the next bytes in
//   write          sends what is in it
//   set_deadline   when to call handle_timeout; kNever for not at all
//   shut_down      closes the sending side behind the last byte; may come again
//   finish         closes the connection behind the last byte; the host may be gone when it returns
template <class H, class Event>
concept Host = requires(H host, Event event, Instant at) {
  host.on_event(event);
  { host.can_write() } -> std::same_as<bool>;
  { host.write_buffer() } -> std::same_as<Bytes&>;
  host.write();
  host.set_deadline(at);
  host.shut_down();
  host.finish();
};

// Events, then bytes, then the deadline; then the end, if it has come.
template <class Session, class H>
void settle(Instant now, Session& session, H& host) {
  while (auto event = session.poll_event(now)) host.on_event(*event);
  while (host.can_write()) {
    Bytes& buffer = host.write_buffer();
    session.take_output(now, buffer, kWriteSize);
    if (buffer.empty()) break;
    host.write();
  }
  host.set_deadline(session.next_deadline());
  if (session.wants_finish()) return host.finish();
  if (session.wants_shutdown()) host.shut_down();
}

}  // namespace cproto
