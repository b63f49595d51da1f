// cprotod's settings. The member initialisers are the defaults; bounds and documentation are in schema.cc. Members are
// named like their keys, so `session.window_size` is the same thing here, in /etc/cproto.toml and in a message.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "proto/options.h"

namespace cproto {

enum class LogLevel : std::uint8_t { error, warn, info, debug };

// What becomes of a client whose session this store does not know.
enum class UnknownSession : std::uint8_t { refuse, restart };

// What becomes of a file in the inbox when another of its name arrives: it makes place, or the new one gets another
// name (name~1, name~2, …).
enum class ExistingFile : std::uint8_t { replace, keep };

// What keeps what is received: this host's disk, or a stream of NATS JetStream.
enum class Engine : std::uint8_t { journal, jetstream };

// Sizes are bytes. What the loader gives out without errors is within bounds; nobody needs to check it again.
struct Config {
  struct Listen {
    std::vector<std::string> host = {"127.0.0.1", "::1"};  // IP addresses and "localhost"; or "*" alone: all addresses
    std::uint16_t port = kDefaultPort;                     // 0: the system picks a free one
    bool insecure = false;
    bool operator==(const Listen&) const = default;
  };

  struct Store {
    Engine engine = Engine::journal;
    std::string directory = "/var/lib/cproto";
    std::uint64_t segment_size = 64ull << 20;
    bool operator==(const Store&) const = default;
  };

  // The stream that keeps what is received, if store.engine says so.
  struct JetStream {
    std::string url = "nats://127.0.0.1:4222";  // several: with commas
    std::string credentials = {};               // files
    std::string ca = {};
    std::string stream = "cproto";
    bool create = true;
    std::uint32_t replicas = 1;
    std::uint64_t max_bytes = 0;           // 0: what the servers allow
    std::chrono::milliseconds max_age{0};  // 0: never removed
    std::uint64_t pack_size = 1ull << 20;  // 1: each message by itself
    bool servers_sync = false;
    bool operator==(const JetStream&) const = default;
  };

  struct Inbox {
    std::string directory;  // empty: "inbox" in the store's directory
    std::string group = "adm";
    ExistingFile existing_file = ExistingFile::replace;
    bool operator==(const Inbox&) const = default;
  };

  struct Session {
    std::uint64_t max_packet_size = 64ull << 10;  // payload bytes of one frame
    std::uint32_t window_size = kWindowMax;       // frames
    std::uint64_t window_bytes = 16ull << 20;     // never less than max_packet_size
    std::chrono::milliseconds keep_alive = std::chrono::seconds(20);
    std::chrono::milliseconds handshake_timeout = std::chrono::seconds(10);
    std::chrono::milliseconds forget_unfinished_after = std::chrono::hours(24 * 30);  // 0: never
    std::chrono::milliseconds forget_session_after = std::chrono::hours(24 * 365);    // 0: never
    UnknownSession unknown = UnknownSession::refuse;
    bool operator==(const Session&) const = default;
  };

  // Of the counts, 0 is "no limit".
  struct Limits {
    std::uint64_t free_space = 1ull << 30;  // or 5 % of the disk, where that is less
    std::uint64_t memory = 256ull << 20;
    std::uint32_t connections = 10'000;
    std::uint32_t connections_per_address = 1'000;
    std::uint32_t handshakes_pending = 1'000;
    std::uint64_t message_size = 64ull << 20;
    std::uint64_t file_size = 0;
    std::uint64_t inbox_per_client = 0;
    std::uint32_t channels_per_client = 100;
    std::uint32_t clients = 10'000;
    bool operator==(const Limits&) const = default;
  };

  // Files; one whose name has no slash is in $CREDENTIALS_DIRECTORY (credentials.h).
  struct Tls {
    std::string keys = "/etc/cproto/keys";
    std::string certificate = {};
    std::string certificate_key = {};
    std::string client_ca = {};
    bool allow_plain = false;
    bool operator==(const Tls&) const = default;
  };

  // [client.NAME]: what this client may not.
  struct Client {
    std::vector<std::string> channels = {};  // empty: any
    bool files = true;
    std::vector<std::string> from = {};  // networks; empty: anywhere
    std::string certificate_name = {};   // empty: its certificate has its own
    bool operator==(const Client&) const = default;
  };

  struct Log {
    LogLevel level = LogLevel::info;
    bool operator==(const Log&) const = default;
  };

  Listen listen;
  Store store;
  JetStream jetstream;
  Inbox inbox;
  Session session;
  Limits limits;
  Tls tls;
  Log log;
  std::map<std::string, Client> client;
  bool operator==(const Config&) const = default;
};

// What the command line says, as it was typed: it is read and checked like the file, and wins over it.
struct Overrides {
  std::optional<std::string> directory;  // --directory: store.directory
  std::optional<std::string> host;       // --host: listen.host
  std::optional<std::string> port;       // --port: listen.port
  std::optional<std::string> max_size;   // --max-size: session.max_packet_size
};

// What came of defaults, file and flags. Messages are a line each, "file:line:column: what", in the order of the file,
// and then those of the flags.
struct LoadResult {
  Config config;  // complete and checked if there are no errors; else not to be used
  std::vector<std::string> errors;
  std::vector<std::string> warnings;
};

}  // namespace cproto
