#include "proto/tls_context.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <utility>

#include "proto/assert.h"
#include "proto/certificate_names.h"
#include "proto/tls_stream.h"

namespace cproto {

namespace {

// PROTOCOL §12.1. Of one hash, so that a key goes with each of them.
constexpr const char* kSuites = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";
constexpr std::uint8_t kKeySuite[] = {0x13, 0x01};

template <auto free>
struct Free {
  template <class T>
  void operator()(T* one) const {
    free(one);
  }
};
using Pem = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;

Pem open(const std::string& text) { return Pem(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

// What OpenSSL has to say of the last failure, and forgets.
std::string reason() {
  const unsigned long error = ERR_peek_last_error();
  const char* text = ERR_reason_error_string(error);
  ERR_clear_error();
  return text == nullptr ? "it cannot be used" : text;
}

std::optional<std::int64_t> seconds_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  return std::int64_t{timegm(&parts)};
}

// A program that asks for the passphrase of a key would wait for ever.
int no_passphrase(char*, int, int, void*) { return 0; }

using Session = std::unique_ptr<SSL_SESSION, Free<SSL_SESSION_free>>;

// RFC 8446 §4.2.11: a key from outside is what a session to be resumed is.
SSL_SESSION* session_of(SSL* ssl, const ClientKey& key) {
  Session session(SSL_SESSION_new());
  const SSL_CIPHER* suite = SSL_CIPHER_find(ssl, kKeySuite);
  const ByteView secret = key.secret.bytes();
  if (!session || suite == nullptr || SSL_SESSION_set1_master_key(session.get(), secret.data(), secret.size()) != 1 ||
      SSL_SESSION_set_cipher(session.get(), suite) != 1 ||
      SSL_SESSION_set_protocol_version(session.get(), TLS1_3_VERSION) != 1)
    return nullptr;
  return session.release();
}

// What is no key of ours may be another way to belong: the handshake decides.
int find_session(SSL* ssl, const unsigned char* id, std::size_t size, SSL_SESSION** session) {
  *session = nullptr;
  const ClientKey* key = TlsStream::of(ssl).offer_key({reinterpret_cast<const char*>(id), size});
  if (key != nullptr) *session = session_of(ssl, *key);
  return key == nullptr || *session != nullptr ? 1 : 0;
}

int use_session(SSL* ssl, const EVP_MD* hash, const unsigned char** id, std::size_t* size, SSL_SESSION** session) {
  *session = nullptr;
  const ClientKey* key = TlsStream::of(ssl).context().key();
  if (key == nullptr || (hash != nullptr && EVP_MD_get_type(hash) != NID_sha256)) return 1;
  *id = reinterpret_cast<const unsigned char*>(key->id.data());
  *size = key->id.size();
  *session = session_of(ssl, *key);
  return *session != nullptr ? 1 : 0;
}

}  // namespace

TlsContext::TlsContext(bool is_server, std::vector<ClientKey> keys)
    : is_server_(is_server),
      keys_(std::move(keys)),
      handle_(SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method())) {
  CPROTO_ASSERT(handle_ != nullptr);
  SSL_CTX_set_min_proto_version(handle_, TLS1_3_VERSION);
  SSL_CTX_set_max_proto_version(handle_, TLS1_3_VERSION);
  int groups[] = {NID_X25519, NID_X9_62_prime256v1};
  CPROTO_ASSERT(SSL_CTX_set_ciphersuites(handle_, kSuites) == 1 &&
                SSL_CTX_ctrl(handle_, SSL_CTRL_SET_GROUPS, std::size(groups), groups) == 1);
  // Without hardware for AES a client asks for ChaCha20 first, and gets it.
  SSL_CTX_set_options(handle_, SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_num_tickets(handle_, 0);
  SSL_CTX_set_max_early_data(handle_, 0);
  SSL_CTX_set_session_cache_mode(handle_, SSL_SESS_CACHE_OFF);
  // A connection that rests holds no buffers.
  SSL_CTX_set_mode(handle_, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_default_passwd_cb(handle_, no_passphrase);
  // Even with no key: what has neither a certificate nor this speaks no TLS 1.3 to OpenSSL.
  if (is_server) SSL_CTX_set_psk_find_session_callback(handle_, find_session);
  if (!is_server && !keys_.empty()) SSL_CTX_set_psk_use_session_callback(handle_, use_session);
}

TlsContext::~TlsContext() { SSL_CTX_free(handle_); }

const ClientKey* TlsContext::find_key(std::string_view id) const {
  const auto it = std::find_if(keys_.begin(), keys_.end(), [&](const ClientKey& key) { return key.id == id; });
  return it == keys_.end() ? nullptr : &*it;
}

// The first of the file, then what is between it and its authority. Empty, or what is wrong.
std::string TlsContext::use_certificate(const std::string& certificate, const std::string& key) {
  if (certificate.empty()) return key.empty() ? "" : "the certificate: there is a key for one, and none";
  if (key.empty()) return "the certificate's key: there is none";
  const Pem text = open(certificate);
  const Certificate own(PEM_read_bio_X509(text.get(), nullptr, no_passphrase, nullptr));
  if (!own || SSL_CTX_use_certificate(handle_, own.get()) != 1) return "the certificate: " + reason();
  expires_ = seconds_of(X509_get0_notAfter(own.get()));
  names_ = names_of(own.get());
  while (X509* next = PEM_read_bio_X509(text.get(), nullptr, no_passphrase, nullptr)) {
    if (SSL_CTX_add0_chain_cert(handle_, next) == 1) continue;
    X509_free(next);
    return "the certificate: " + reason();
  }
  ERR_clear_error();  // the end of the file
  const Pem key_text = open(key);
  const PrivateKey own_key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, no_passphrase, nullptr));
  if (!own_key || SSL_CTX_use_PrivateKey(handle_, own_key.get()) != 1) return "the certificate's key: " + reason();
  return {};
}

std::string TlsContext::use_authorities(const std::string& pem) {
  const Pem text = open(pem);
  X509_STORE* store = SSL_CTX_get_cert_store(handle_);
  std::size_t count = 0;
  while (const Certificate one{PEM_read_bio_X509(text.get(), nullptr, no_passphrase, nullptr)}) {
    ++count;
    if (X509_STORE_add_cert(store, one.get()) != 1 || (is_server_ && SSL_CTX_add_client_CA(handle_, one.get()) != 1))
      return "the authority: " + reason();
  }
  ERR_clear_error();  // the end of the file
  return count > 0 ? "" : "the authority: there is no certificate in it";
}

// A client without a certificate is told so inside the stream, where there is room for a sentence.
std::shared_ptr<const TlsContext> TlsContext::of_server(TlsServerSettings settings, std::string& trouble) {
  std::shared_ptr<TlsContext> context(new TlsContext(true, std::move(settings.keys)));
  trouble = context->use_certificate(settings.certificate, settings.certificate_key);
  if (trouble.empty() && !settings.client_ca.empty()) {
    SSL_CTX_set_verify(context->handle_, SSL_VERIFY_PEER, nullptr);
    trouble = context->use_authorities(settings.client_ca);
  }
  context->knows_clients_ = !context->keys_.empty() || !settings.client_ca.empty();
  OPENSSL_cleanse(settings.certificate_key.data(), settings.certificate_key.size());
  return trouble.empty() ? context : nullptr;
}

std::shared_ptr<const TlsContext> TlsContext::of_client(TlsClientSettings settings, std::string& trouble) {
  std::vector<ClientKey> keys;
  if (settings.key) keys.push_back(std::move(*settings.key));
  std::shared_ptr<TlsContext> context(new TlsContext(false, std::move(keys)));
  SSL_CTX_set_verify(context->handle_, SSL_VERIFY_PEER, nullptr);
  trouble = context->use_certificate(settings.certificate, settings.certificate_key);
  if (trouble.empty() && !settings.ca.empty()) trouble = context->use_authorities(settings.ca);
  // Who has a key believes who has it, too, and nobody else.
  const bool trusts_machine = settings.ca.empty() && context->keys_.empty();
  if (trouble.empty() && trusts_machine && SSL_CTX_set_default_verify_paths(context->handle_) != 1)
    trouble = "the authorities of this machine: " + reason();
  OPENSSL_cleanse(settings.certificate_key.data(), settings.certificate_key.size());
  return trouble.empty() ? context : nullptr;
}

}  // namespace cproto
