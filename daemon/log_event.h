// What the daemon says, for programs: each event has a MESSAGE_ID that never changes and, in systemd/cprotod.catalog, a
// page that explains it to an operator (journalctl -x).
#pragma once

#include <cstdint>
#include <string_view>

namespace cproto {

enum class LogEvent : std::uint8_t {
  none,                 // has no id
  listening,            // ready: the store is recovered, the port listens
  recovered,            // what an earlier run left was read again
  stopping,             // SIGTERM, SIGINT or cprotoctl drain
  stopped,              // everything received is durable and delivered
  stopped_undelivered,  // everything received is durable; the journal has what the inbox has not
  reloaded,
  reload_refused,
  restart_needed,  // a key was changed that a running daemon cannot change
  store_created,   // an empty one: said as a warning, since it may be a disk that is not mounted
  journal_damaged,
  session_began,          // said of those that last
  session_ended,          // finished, paused, or ended with an error
  connection_lost,        // the session stays
  connection_regained,    // a session that was there before goes on
  connection_taken_over,  // by a newer one of the same session
  session_restarted,      // [session] unknown = "restart"
  client_refused,
  message_refused,
  not_a_client,  // strangers: HTTP, TLS, garbage, silence
  too_many_connections,
  disk_full,
  disk_failed,
  disk_stalled,         // a sync does not return
  disk_works,           // again, after one of the three before
  inbox_blocked,        // a log cannot be written
  inbox_writable,       // again
  inbox_changed,        // by somebody else: shorter, or written to, or removed
  open_to_others,       // [listen] insecure
  few_descriptors,      // fewer than [limits] connections
  volatile_store,       // on a file system that does not outlive the machine
  sockets_differ,       // inherited ones from [listen]
  lines_lost,           // the log could not keep up
  client_kicked,        // by cprotoctl
  session_forgotten,    // by cprotoctl, or as no client came back for it
  disk_low,             // less than twice the floor of [limits] free_space is free
  inbox_limit,          // a client's inbox is at [limits] inbox_per_client, or below it again
  senders_held,         // nobody is read, for longer than a moment
  overloaded,           // a connection was sent away with its unfinished frame
  stuck,                // a batch waits and nothing is done about it: a bug
  certificate_expires,  // within a month, or it has
  stream_away,          // it cannot be reached, is not there, or does not answer
  stream_full,
  stream_works,  // it is open, at the start or again
};

// 32 hexadecimal digits; empty for `none`.
std::string_view message_id(LogEvent event);

}  // namespace cproto
