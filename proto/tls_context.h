// What one side brings to TLS (PROTOCOL §12): certificates, keys, and whom it believes. Made once from the text of
// files, shared by all streams, replaced as a whole when the files change: a stream keeps the one it began with.
//
// TLS 1.3 only, one set of suites and groups, no tickets, no early data, no compression.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/client_key.h"

struct ssl_ctx_st;
struct ssl_st;

namespace cproto {

// The server's: a certificate, or keys, or both. With neither every handshake fails.
struct TlsServerSettings {
  std::string certificate;      // PEM: its own, then those between it and the authority
  std::string certificate_key;  // PEM
  std::string client_ca;        // PEM: clients may show certificates of these authorities
  std::vector<ClientKey> keys;
};

// The client's: it belongs by a key or by a certificate; without either it is nobody, which a server may allow or not.
struct TlsClientSettings {
  std::string ca;  // PEM: who may have signed the server's certificate; empty: whom this machine trusts
  std::string certificate;
  std::string certificate_key;
  std::optional<ClientKey> key;
};

class TlsContext {
 public:
  // nullptr if something cannot be used: then `trouble` is a sentence that begins with what it is about ("the
  // certificate: …").
  static std::shared_ptr<const TlsContext> of_server(TlsServerSettings settings, std::string& trouble);
  static std::shared_ptr<const TlsContext> of_client(TlsClientSettings settings, std::string& trouble);
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ~TlsContext();

  bool is_server() const { return is_server_; }
  // Of the own certificate, seconds since 1970. nullopt: there is none.
  std::optional<std::int64_t> expires() const { return expires_; }
  // Of the own certificate, as TlsStream::certificate_names().
  const std::vector<std::string>& names() const { return names_; }
  // The server's: there is a key or an authority by which somebody can belong.
  bool knows_clients() const { return knows_clients_; }
  // The key with this id, or nullptr. Lives as long as the context.
  const ClientKey* find_key(std::string_view id) const;
  // The client's. nullptr: it has none.
  const ClientKey* key() const { return keys_.empty() ? nullptr : &keys_.front(); }
  ssl_ctx_st* handle() const { return handle_; }

 private:
  TlsContext(bool is_server, std::vector<ClientKey> keys);
  std::string use_certificate(const std::string& certificate, const std::string& key);
  std::string use_authorities(const std::string& pem);

  bool is_server_;
  std::vector<ClientKey> keys_;
  std::optional<std::int64_t> expires_;
  std::vector<std::string> names_;
  bool knows_clients_ = false;
  ssl_ctx_st* handle_;
};

}  // namespace cproto
