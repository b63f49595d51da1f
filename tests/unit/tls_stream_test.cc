#include "proto/tls_stream.h"

#include <doctest/doctest.h>
#include <openssl/ssl.h>

#include <algorithm>

#include "tests/support/authority.h"

using namespace cproto;
using namespace cproto::test;

namespace {

using Kind = TlsTrouble::Kind;

ClientKey key_of(const std::string& client, std::uint8_t seed) {
  std::array<std::uint8_t, Secret::kSize> bytes{};
  bytes.fill(seed);
  return {client, Secret(bytes)};
}

std::shared_ptr<const TlsContext> server_with_keys() {
  TlsServerSettings settings;
  settings.keys.push_back(key_of("web-1", 1));
  settings.keys.push_back(key_of("web-2", 2));
  std::string trouble;
  return TlsContext::of_server(std::move(settings), trouble);
}

std::shared_ptr<const TlsContext> client_with_key(std::uint8_t seed) {
  TlsClientSettings settings;
  settings.key = key_of("web-1", seed);
  std::string trouble;
  return TlsContext::of_client(std::move(settings), trouble);
}

std::shared_ptr<const TlsContext> server_with(const CertificatePem& own, const std::string& client_ca = {}) {
  TlsServerSettings settings;
  settings.certificate = own.certificate;
  settings.certificate_key = own.key;
  settings.client_ca = client_ca;
  std::string trouble;
  auto context = TlsContext::of_server(std::move(settings), trouble);
  CHECK(trouble == "");
  return context;
}

std::shared_ptr<const TlsContext> client_with(const std::string& ca, const CertificatePem& own = {}) {
  TlsClientSettings settings;
  settings.ca = ca;
  settings.certificate = own.certificate;
  settings.certificate_key = own.key;
  std::string trouble;
  auto context = TlsContext::of_client(std::move(settings), trouble);
  CHECK(trouble == "");
  return context;
}

// Two ends and what is between them, which a test may look at.
struct Ends {
  Ends(std::shared_ptr<const TlsContext> server_side, std::shared_ptr<const TlsContext> client_side,
       const std::string& name = "logs.example")
      : server(std::move(server_side)), client(std::move(client_side), name) {
    client.start();
  }

  static Bytes read(TlsStream& stream, ByteView bytes) {
    Bytes plain;
    Bytes buffer(20'000);
    stream.receive(bytes);
    for (ByteView part = stream.read(buffer); !part.empty(); part = stream.read(buffer)) append(plain, part);
    return plain;
  }

  // Until neither has anything to say. `piece`: bytes that come at a time.
  void run(std::size_t piece = 1u << 20) {
    while (!server.output().empty() || !client.output().empty()) {
      carry(client, server, from_client, at_server, piece);
      carry(server, client, from_server, at_client, piece);
    }
  }

  static void carry(TlsStream& from, TlsStream& to, Bytes& seen, Bytes& plain, std::size_t piece) {
    const Bytes bytes = std::exchange(from.output(), {});
    append(seen, bytes);
    for (std::size_t at = 0; at < bytes.size(); at += piece)
      append(plain, read(to, ByteView(bytes).subspan(at, std::min(piece, bytes.size() - at))));
  }

  TlsStream server;
  TlsStream client;
  Bytes from_client;
  Bytes from_server;
  Bytes at_server;
  Bytes at_client;
};

bool holds(const Bytes& bytes, const std::string& text) {
  return std::search(bytes.begin(), bytes.end(), text.begin(), text.end()) != bytes.end();
}

}  // namespace

TEST_CASE("tls: a key opens a stream, and says whose it is") {
  Ends ends(server_with_keys(), client_with_key(2));
  ends.run();
  REQUIRE(ends.client.is_open());
  REQUIRE(ends.server.is_open());
  REQUIRE(ends.server.key() != nullptr);
  CHECK(ends.server.key()->client_id == "web-2");
  CHECK(ends.server.certificate_names().empty());
}

TEST_CASE("tls: what is said arrives as it was, whatever pieces the network makes of it") {
  for (const std::size_t piece : {1u, 7u, 1000u}) {
    Ends ends(server_with_keys(), client_with_key(1));
    ends.run(piece);
    REQUIRE(ends.client.is_open());
    Bytes large(50'000);
    for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<std::uint8_t>(i * 7);
    ends.client.write(large);
    ends.client.write(as_bytes("end"));
    ends.server.write(as_bytes("acknowledged"));
    ends.run(piece);
    append(large, as_bytes("end"));
    CHECK(ends.at_server == large);
    CHECK(as_text(ends.at_client) == "acknowledged");
  }
}

TEST_CASE("tls: neither the name of a client nor what it says is on the wire") {
  const Authority authority("authority of logs.example");
  const CertificatePem own = authority.sign({.name = "web-1"});
  const auto with_certificate = client_with(authority.pem(), own);
  const auto server = authority.sign({.name = "logs", .hosts = {"DNS:logs.example"}});
  for (const auto& [server_side, client_side] : {std::pair(server_with_keys(), client_with_key(1)),
                                                 std::pair(server_with(server, authority.pem()), with_certificate)}) {
    Ends ends(server_side, client_side);
    ends.run();
    REQUIRE(ends.client.is_open());
    ends.client.write(as_bytes("a message of web-1"));
    ends.run();
    CHECK(as_text(ends.at_server) == "a message of web-1");
    for (const Bytes& seen : {ends.from_client, ends.from_server}) {
      CHECK_FALSE(holds(seen, "web-1"));
      CHECK_FALSE(holds(seen, "message"));
      CHECK_FALSE(holds(seen, "authority"));
    }
  }
}

TEST_CASE("tls: a key that the server does not have opens nothing, and the client knows why") {
  const Authority authority("authority");
  const auto certificate = authority.sign({.name = "logs", .hosts = {"DNS:logs.example"}});
  for (const auto& server : {server_with_keys(), server_with(certificate)}) {
    Ends ends(server, client_with_key(9));
    ends.run();
    CHECK_FALSE(ends.client.is_open());
    CHECK(ends.client.trouble().kind == Kind::key_unknown);
    CHECK_FALSE(ends.server.is_open());
    CHECK(ends.server.trouble().kind != Kind::none);
  }
}

TEST_CASE("tls: a key's id alone opens nothing") {
  TlsServerSettings settings;
  settings.keys.push_back(key_of("web-1", 1));
  settings.keys.front().id = key_of("web-1", 2).id;
  std::string trouble;
  Ends ends(TlsContext::of_server(std::move(settings), trouble), client_with_key(2));
  ends.run();
  CHECK_FALSE(ends.server.is_open());
  CHECK_FALSE(ends.client.is_open());
}

TEST_CASE("tls: a certificate is believed for its names, while it lasts, if the authority is known") {
  const Authority authority("authority");
  const Authority other("other authority");
  const auto kind = [&](const CertificateRequest& request, const std::string& name, const std::string& ca) {
    Ends ends(server_with(authority.sign(request)), client_with(ca), name);
    ends.run();
    CHECK(ends.client.is_open() == (ends.client.trouble().kind == Kind::none));
    return ends.client.trouble().kind;
  };
  const CertificateRequest good{.name = "logs", .hosts = {"DNS:logs.example", "IP:192.0.2.7", "IP:2001:db8::7"}};
  CHECK(kind(good, "logs.example", authority.pem()) == Kind::none);
  CHECK(kind(good, "192.0.2.7", authority.pem()) == Kind::none);
  CHECK(kind(good, "2001:db8::7", authority.pem()) == Kind::none);
  CHECK(kind(good, "192.0.2.8", authority.pem()) == Kind::name_mismatch);
  CHECK(kind(good, "mail.example", authority.pem()) == Kind::name_mismatch);
  CHECK(kind(good, "logs.example", other.pem()) == Kind::unknown_authority);
  CertificateRequest request = good;
  request.to_seconds = -10;
  CHECK(kind(request, "logs.example", authority.pem()) == Kind::expired);
  request = good;
  request.from_seconds = 1000;
  CHECK(kind(request, "logs.example", authority.pem()) == Kind::not_yet_valid);
}

TEST_CASE("tls: a client's certificate says its names") {
  const Authority authority("authority");
  const auto server = authority.sign({.name = "logs", .hosts = {"DNS:logs.example"}});
  const auto client = authority.sign({.name = "web-1", .hosts = {"DNS:web-1.example", "IP:192.0.2.1"}});
  Ends ends(server_with(server, authority.pem()), client_with(authority.pem(), client));
  ends.run();
  REQUIRE(ends.server.is_open());
  CHECK(ends.server.key() == nullptr);
  CHECK(ends.server.certificate_names() == std::vector<std::string>{"web-1", "web-1.example"});
}

TEST_CASE("tls: who shows nothing is nobody") {
  const Authority authority("authority");
  const auto server = authority.sign({.name = "logs", .hosts = {"DNS:logs.example"}});
  Ends ends(server_with(server, authority.pem()), client_with(authority.pem()));
  ends.run();
  REQUIRE(ends.server.is_open());
  CHECK(ends.server.key() == nullptr);
  CHECK(ends.server.certificate_names().empty());
}

TEST_CASE("tls: a certificate of another authority is refused, and the client hears it") {
  const Authority authority("authority");
  const Authority other("other authority");
  const auto server = authority.sign({.name = "logs", .hosts = {"DNS:logs.example"}});
  for (const long to_seconds : {86'400L, -10L}) {
    const Authority& signer = to_seconds > 0 ? other : authority;
    const auto client = signer.sign({.name = "web-1", .to_seconds = to_seconds});
    Ends ends(server_with(server, authority.pem()), client_with(authority.pem(), client));
    ends.run();
    CHECK_FALSE(ends.server.is_open());
    CHECK(ends.server.trouble().kind == (to_seconds > 0 ? Kind::unknown_authority : Kind::expired));
    CHECK(ends.client.trouble().kind == Kind::refused);
  }
}

TEST_CASE("tls: plain text, another protocol and older versions are told apart") {
  const auto trouble_of = [](ByteView first) {
    TlsStream server(server_with_keys());
    Ends::read(server, first);
    CHECK_FALSE(server.is_open());
    return server.trouble().kind;
  };
  CHECK(trouble_of(as_bytes("GET / HTTP/1.1\r\n\r\n")) == Kind::not_tls);
  CHECK(trouble_of(as_bytes("SSH-2.0-OpenSSH_9.2\r\n")) == Kind::not_tls);

  SSL_CTX* old = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_max_proto_version(old, TLS1_2_VERSION);
  SSL* ssl = SSL_new(old);
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
  SSL_set_connect_state(ssl);
  SSL_do_handshake(ssl);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out, &data);
  CHECK(trouble_of({reinterpret_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size)}) == Kind::old_version);
  SSL_free(ssl);
  SSL_CTX_free(old);

  TlsStream client(client_with_key(1));
  client.start();
  Ends::read(client, as_bytes("SSH-2.0-OpenSSH_9.2\r\n"));
  CHECK(client.trouble().kind == Kind::not_tls);
}

TEST_CASE("tls: the end is said, and what comes behind it is nobody's") {
  Ends ends(server_with_keys(), client_with_key(1));
  ends.run();
  ends.client.write(as_bytes("last"));
  ends.client.close();
  ends.run();
  CHECK(as_text(ends.at_server) == "last");
  CHECK(ends.server.trouble().kind == Kind::closed);
  CHECK(Ends::read(ends.server, as_bytes("more")).empty());
  ends.server.write(as_bytes("heard"));
  ends.run();
  CHECK(as_text(ends.at_client) == "heard");
}

TEST_CASE("tls: who sent it is known of what comes with the end of the handshake and before the end of the stream") {
  Ends ends(server_with_keys(), client_with_key(1));
  Ends::read(ends.server, std::exchange(ends.client.output(), {}));
  Ends::read(ends.client, std::exchange(ends.server.output(), {}));
  ends.client.write(as_bytes("all"));
  ends.client.close();
  CHECK(as_text(Ends::read(ends.server, ends.client.output())) == "all");
  CHECK(ends.server.trouble().kind == Kind::closed);
  REQUIRE(ends.server.is_open());
  REQUIRE(ends.server.key() != nullptr);
  CHECK(ends.server.key()->client_id == "web-1");
}

TEST_CASE("tls: who asks for new keys and never reads the answers is given up before they take much memory") {
  const Authority authority("authority");
  TlsStream server(server_with(authority.sign({.name = "logs"})));
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL* ssl = SSL_new(context);
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl, in, out);
  SSL_set_connect_state(ssl);
  const auto hand_over = [&] {
    Bytes bytes(BIO_ctrl_pending(out));
    if (!bytes.empty()) BIO_read(out, bytes.data(), static_cast<int>(bytes.size()));
    return Ends::read(server, bytes);
  };
  SSL_do_handshake(ssl);
  hand_over();
  const Bytes flight = std::exchange(server.output(), {});
  BIO_write(in, flight.data(), static_cast<int>(flight.size()));
  REQUIRE(SSL_do_handshake(ssl) == 1);
  hand_over();
  REQUIRE(server.is_open());
  for (int i = 0; i < 100'000 && server.trouble().kind == Kind::none; ++i) {
    SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
    SSL_do_handshake(ssl);
    hand_over();
  }
  CHECK(server.trouble().kind == Kind::failed);
  CHECK(server.output().size() < 300 * 1024);
  SSL_free(ssl);
  SSL_CTX_free(context);
}

TEST_CASE("tls: a byte that was changed on the way ends the stream, and nothing of it is believed") {
  for (std::size_t at = 5; at < 40; ++at) {
    Ends ends(server_with_keys(), client_with_key(1));
    ends.run();
    ends.client.write(as_bytes("a message"));
    ends.client.output()[at % ends.client.output().size()] ^= 0x10;
    ends.client.write(Bytes(10'000));  // for a record that seems longer than it is
    ends.run();
    CHECK(ends.at_server.empty());
    CHECK(ends.server.trouble().kind != Kind::none);
  }
}

TEST_CASE("tls: damage to what a server answers is not taken for a key that it does not know") {
  for (std::size_t at = 0; at < 300; ++at) {
    Ends ends(server_with_keys(), client_with_key(1));
    Ends::read(ends.server, std::exchange(ends.client.output(), {}));
    Bytes& answer = ends.server.output();
    answer[at % answer.size()] ^= 0x10;
    Ends::read(ends.client, answer);
    CAPTURE(at);
    CHECK(ends.client.trouble().kind != Kind::key_unknown);
  }
}

TEST_CASE("tls: what cannot be used is said in a sentence") {
  const Authority authority("authority");
  const auto good = authority.sign({.name = "logs"});
  const auto other = authority.sign({.name = "other"});
  const auto trouble = [](TlsServerSettings settings) {
    std::string text;
    CHECK(TlsContext::of_server(std::move(settings), text) == nullptr);
    return text;
  };
  CHECK(trouble({good.certificate, {}, {}, {}}) == "the certificate's key: there is none");
  CHECK(trouble({{}, good.key, {}, {}}) == "the certificate: there is a key for one, and none");
  CHECK(trouble({"no PEM", good.key, {}, {}}) == "the certificate: no start line");
  CHECK(trouble({good.certificate, other.key, {}, {}}) == "the certificate's key: key values mismatch");
  CHECK(trouble({good.certificate, good.key, "no PEM", {}}) == "the authority: there is no certificate in it");
}

TEST_CASE("tls: a server without a key or an authority knows nobody") {
  const Authority authority("authority");
  const auto good = authority.sign({.name = "logs"});
  std::string trouble;
  const auto context = TlsContext::of_server({}, trouble);
  REQUIRE(context != nullptr);
  CHECK_FALSE(context->knows_clients());
  CHECK_FALSE(server_with(good)->knows_clients());
  CHECK(server_with(good, authority.pem())->knows_clients());
  CHECK(server_with_keys()->knows_clients());
  Ends ends(context, client_with_key(1));
  ends.run();
  CHECK(ends.client.trouble().kind == Kind::key_unknown);
}

TEST_CASE("tls: a server knows when its certificate expires") {
  const Authority authority("authority");
  const auto context = server_with(authority.sign({.name = "logs", .to_seconds = 1000}));
  REQUIRE(context->expires());
  const std::int64_t left = *context->expires() - std::int64_t{time(nullptr)};
  CHECK(left > 900);
  CHECK(left <= 1000);
  CHECK_FALSE(server_with_keys()->expires());
}
