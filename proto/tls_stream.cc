#include "proto/tls_stream.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "proto/assert.h"
#include "proto/certificate_names.h"

namespace cproto {

namespace {

using Kind = TlsTrouble::Kind;

Kind kind_of_verification(long result) {
  switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED: return Kind::expired;
    case X509_V_ERR_CERT_NOT_YET_VALID: return Kind::not_yet_valid;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return Kind::name_mismatch;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED: return Kind::unknown_authority;
    default: return Kind::failed;
  }
}

// Of an alert that came, or of what was found wrong here.
Kind kind_of_reason(int reason) {
  switch (reason) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_BAD_RECORD_TYPE:
    case SSL_R_RECORD_LENGTH_MISMATCH: return Kind::not_tls;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_AD_REASON_OFFSET + SSL_AD_PROTOCOL_VERSION: return Kind::old_version;
    case SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_REASON_OFFSET + SSL_AD_UNKNOWN_CA:
    case SSL_AD_REASON_OFFSET + SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_REASON_OFFSET + SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_REQUIRED:
    case SSL_AD_REASON_OFFSET + SSL_AD_ACCESS_DENIED: return Kind::refused;
    default: return Kind::failed;
  }
}

// What may wait for the network when more is read: a peer that asks for new keys and never reads the answers has no
// other bound. A handshake's certificates take a tenth.
constexpr std::size_t kOutputMax = 256 * 1024;
// More than an ERROR needs.
constexpr std::size_t kFirstMax = 1024;

// What a server says, or shows, that does not know a client's key: it refuses the handshake, or goes on with a
// certificate that proves nothing here. Anything else may be damage on the way.
bool is_of_unknown_key(int reason) {
  return reason == SSL_AD_REASON_OFFSET + SSL_AD_HANDSHAKE_FAILURE ||
         reason == SSL_AD_REASON_OFFSET + SSL_AD_UNKNOWN_PSK_IDENTITY || reason == SSL_R_CERTIFICATE_VERIFY_FAILED;
}

bool is_address(const std::string& name) {
  ASN1_OCTET_STRING* const address = a2i_IPADDRESS(name.c_str());
  ASN1_OCTET_STRING_free(address);
  return address != nullptr;
}

}  // namespace

// OpenSSL reads what was received where it lies, and writes to the end of the output.
bio_method_st* TlsStream::method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "cproto stream");
    CPROTO_ASSERT(made != nullptr);
    BIO_meth_set_create(made, [](BIO* bio) {
      BIO_set_init(bio, 1);
      return 1;
    });
    BIO_meth_set_read(made, [](BIO* bio, char* into, int size) {
      ByteView& input = static_cast<TlsStream*>(BIO_get_data(bio))->input_;
      BIO_clear_retry_flags(bio);
      const std::size_t count = std::min(input.size(), static_cast<std::size_t>(std::max(size, 0)));
      if (count == 0) {
        BIO_set_retry_read(bio);
        return -1;
      }
      std::memcpy(into, input.data(), count);
      input = input.subspan(count);
      return static_cast<int>(count);
    });
    BIO_meth_set_write(made, [](BIO* bio, const char* bytes, int size) {
      append(static_cast<TlsStream*>(BIO_get_data(bio))->output_,
             {reinterpret_cast<const std::uint8_t*>(bytes), static_cast<std::size_t>(size)});
      return size;
    });
    BIO_meth_set_ctrl(made, [](BIO*, int command, long, void*) -> long { return command == BIO_CTRL_FLUSH ? 1 : 0; });
    return made;
  }();
  return method;
}

TlsStream::TlsStream(std::shared_ptr<const TlsContext> context, const std::string& server_name)
    : context_(std::move(context)), ssl_(SSL_new(context_->handle())) {
  BIO* bio = BIO_new(method());
  CPROTO_ASSERT(ssl_ != nullptr && bio != nullptr);
  BIO_set_data(bio, this);
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_app_data(ssl_, this);
  if (context_->is_server()) {
    SSL_set_accept_state(ssl_);
  } else {
    SSL_set_connect_state(ssl_);
    if (!server_name.empty()) expect(server_name);
  }
}

void TlsStream::expect(std::string server_name) {
  if (is_address(server_name)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), server_name.c_str());
    return;
  }
  SSL_set1_host(ssl_, server_name.c_str());
  SSL_ctrl(ssl_, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, server_name.data());
}

TlsStream::~TlsStream() { SSL_free(ssl_); }

TlsStream& TlsStream::of(ssl_st* ssl) { return *static_cast<TlsStream*>(SSL_get_app_data(ssl)); }

void TlsStream::start() {
  ERR_clear_error();
  has_failed(SSL_do_handshake(ssl_));
}

void TlsStream::receive(ByteView bytes) {
  input_ = bytes;
  if (first_.empty() && !is_open_ && !context_->is_server()) {
    const ByteView first = bytes.first(std::min(bytes.size(), kFirstMax));
    first_.assign(first.begin(), first.end());
  }
}

ByteView TlsStream::read(std::span<std::uint8_t> into) {
  std::size_t size = 0;
  while (trouble_.kind == Kind::none && size < into.size()) {
    ERR_clear_error();
    std::size_t count = 0;
    const int result = SSL_read_ex(ssl_, into.data() + size, into.size() - size, &count);
    if (!is_open_ && SSL_is_init_finished(ssl_) == 1) on_opened();
    if (has_failed(result)) break;
    size += count;
  }
  if (output_.size() > kOutputMax && trouble_.kind == Kind::none)
    trouble_ = {Kind::failed, "the peer does not read what it asks for", {}};
  // What comes behind the end is nobody's.
  if (trouble_.kind != Kind::none) input_ = {};
  return into.first(size);
}

void TlsStream::write(ByteView plain) {
  CPROTO_ASSERT(can_write());
  ERR_clear_error();
  std::size_t written = 0;
  if (!plain.empty()) has_failed(SSL_write_ex(ssl_, plain.data(), plain.size(), &written));
}

void TlsStream::close() {
  if (!can_write()) return;
  is_closed_ = true;
  ERR_clear_error();
  SSL_shutdown(ssl_);
}

// Whether an operation did not go on: for want of input, or for good.
bool TlsStream::has_failed(int result) {
  if (result == 1) return false;
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ: break;
    case SSL_ERROR_ZERO_RETURN: trouble_ = {Kind::closed, {}, {}}; break;
    default: on_failed();
  }
  return true;
}

void TlsStream::on_failed() {
  const unsigned long error = ERR_peek_error();
  const int reason = ERR_GET_REASON(error);
  const char* text = ERR_reason_error_string(error);
  trouble_.detail = text == nullptr ? "" : text;
  trouble_.kind = kind_of_reason(reason);
  if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    const long result = SSL_get_verify_result(ssl_);
    trouble_ = {kind_of_verification(result), X509_verify_cert_error_string(result), {}};
  }
  ERR_clear_error();
  if (trouble_.kind == Kind::not_tls) trouble_.plain = std::move(first_);
  const bool has_key = !context_->is_server() && context_->key() != nullptr;
  if (has_key && !is_open_ && is_of_unknown_key(reason)) trouble_.kind = Kind::key_unknown;
}

void TlsStream::on_opened() {
  first_ = {};
  const bool used_key = SSL_session_reused(ssl_) == 1;
  if (!used_key) key_ = nullptr;
  if (!context_->is_server() && context_->key() != nullptr && !used_key) {
    trouble_ = {Kind::key_unknown, "the server went on without the key", {}};
    return;
  }
  is_open_ = true;
  if (!context_->is_server()) return;
  if (const X509* certificate = SSL_get0_peer_certificate(ssl_)) certificate_names_ = names_of(certificate);
}

}  // namespace cproto
