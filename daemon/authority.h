// Who may do what (daemon/SECURITY.md): a key or a certificate names its client, and nobody else may send as that; what
// is configured of a client narrows what it may. Decides, and keeps nothing of whom it decided about.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/address.h"
#include "config/config.h"
#include "proto/error.h"
#include "proto/handshake.h"
#include "proto/message.h"
#include "proto/tls_stream.h"

namespace cproto {

// Who is at the other end of a connection.
struct Identity {
  enum class Proof : std::uint8_t {
    none,       // plain text: the name it gives is believed
    anonymous,  // encrypted, and nothing that names a client
    key,
    certificate,
  };
  Proof proof = Proof::none;
  std::string client_id;  // proven; else empty
  std::string detail;     // of what names nobody: the name in the certificate
};

class Authority {
 public:
  Authority() = default;
  explicit Authority(const std::map<std::string, Config::Client>& clients);

  // Pre: the stream is open, and a server's.
  Identity identify(const TlsStream& stream) const;

  // Why this client may not have the session it asks for. nullopt: it may. `host`: the address it comes from.
  std::optional<Error> check(const Syn& syn, const Identity& identity, const std::string& host) const;
  // Why a message of this client may not be what its header says. nullopt: it may.
  std::optional<Error> check(const std::string& client_id, const MessageHeader& header) const;

 private:
  struct Rules {
    std::vector<std::string> channels;  // empty: any
    bool files = true;
    std::vector<Network> from;  // empty: anywhere
  };
  const Rules* rules_of(const std::string& client_id) const;
  static std::optional<Error> check(const Rules& rules, MessageKind kind, const std::string& channel);

  std::map<std::string, Rules> rules_;
  std::map<std::string, std::string> by_certificate_name_;
};

}  // namespace cproto
