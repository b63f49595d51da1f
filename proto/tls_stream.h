// One side of one TLS connection (PROTOCOL §12): bytes of the network in, bytes for it out, and plain ones between.
// Knows no socket, waits for nothing.
//
// Happy path: receive -> read… (-> is_open) -> write -> output -> taken; at the end close -> output.
// Failure modes: trouble() says what it was, once and for all; what output() has then is the alert that tells the other
// side. The end of the network's bytes is for whoever has the socket: below a protocol that says itself when it is
// over.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proto/bytes.h"
#include "proto/tls_context.h"

struct bio_method_st;
struct bio_st;

namespace cproto {

struct TlsTrouble {
  enum class Kind : std::uint8_t {
    none,
    closed,             // the other side ended the stream, in order
    not_tls,            // what came is no TLS
    old_version,        // the two have no version in common
    key_unknown,        // the server does not know this key, or it is not the one it has under this id
    unknown_authority,  // the certificate is signed by nobody that is believed
    name_mismatch,      // the certificate is for another name
    expired,
    not_yet_valid,
    refused,  // the other side refuses the certificate, or that there is none
    failed,   // anything else
  };
  Kind kind = Kind::none;
  std::string detail;  // as OpenSSL says it, for people; nothing that the peer chose
  Bytes plain;         // a client's not_tls: how what came instead began
};

class TlsStream {
 public:
  // `server_name`: the client's: whom the certificate is to be for, a name or an address.
  explicit TlsStream(std::shared_ptr<const TlsContext> context, const std::string& server_name = {});
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // The client's first words. Once.
  void start();
  // The next bytes from the network. They stay until read() returned nothing.
  void receive(ByteView bytes);
  // Decrypts into `into`, as much as there is. Empty: all that was received is used up. Pre: `into` is not empty.
  ByteView read(std::span<std::uint8_t> into);
  // Pre: can_write().
  void write(ByteView plain);
  // Says that nothing more comes.
  void close();

  // For the network. Whoever sends it clears it.
  Bytes& output() { return output_; }
  // The handshake is complete: the other side is who it says it is. It stays, whatever comes of the stream.
  bool is_open() const { return is_open_; }
  // Until close(); also behind the other side's end, which speaks of its own direction only.
  bool can_write() const {
    return is_open_ && !is_closed_ &&
           (trouble_.kind == TlsTrouble::Kind::none || trouble_.kind == TlsTrouble::Kind::closed);
  }
  const TlsTrouble& trouble() const { return trouble_; }

  // --- who the client is. Pre: is_open(), the server's ---
  // The key it has. nullptr: none.
  const ClientKey* key() const { return key_; }
  // The names in its certificate: the common name, then those of the alternatives. Empty: it has shown none.
  const std::vector<std::string>& certificate_names() const { return certificate_names_; }

  // --- for TlsContext ---
  static TlsStream& of(ssl_st* ssl);
  const TlsContext& context() const { return *context_; }
  const ClientKey* offer_key(std::string_view id) { return key_ = context_->find_key(id); }

 private:
  static bio_method_st* method();
  void expect(std::string server_name);
  bool has_failed(int result);
  void on_failed();
  void on_opened();

  std::shared_ptr<const TlsContext> context_;
  ByteView input_;
  Bytes first_;  // a client's, of the first input
  Bytes output_;
  TlsTrouble trouble_;
  bool is_open_ = false;
  bool is_closed_ = false;
  const ClientKey* key_ = nullptr;
  std::vector<std::string> certificate_names_;
  ssl_st* ssl_;
};

}  // namespace cproto
