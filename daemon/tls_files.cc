#include "daemon/tls_files.h"

#include <cstring>
#include <utility>

#include "config/credentials.h"
#include "config/secret_file.h"

namespace cproto {

namespace {

// What is wrong with the file that this key names. Empty: nothing, or none is named.
std::string read_file(const char* key, const std::string& name, std::string& text) {
  if (name.empty()) return {};
  const std::string path = credential_path(name);
  const int error = read_secret_file(path, text);
  return error == 0 ? "" : std::string("tls.") + key + ": " + path + ": " + std::strerror(error);
}

}  // namespace

LoadedTls load_tls(const Config::Tls& tls) {
  if (!has_tls(tls)) return {};
  TlsServerSettings settings;
  std::string keys;
  std::string problem = read_file("certificate", tls.certificate, settings.certificate);
  if (problem.empty()) problem = read_file("certificate_key", tls.certificate_key, settings.certificate_key);
  if (problem.empty()) problem = read_file("client_ca", tls.client_ca, settings.client_ca);
  // With a certificate there need be no keys.
  if (problem.empty() && (tls.certificate.empty() || has_tls({.keys = tls.keys})))
    problem = read_file("keys", tls.keys, keys);
  KeyFile file = read_key_file(keys);
  explicit_bzero(keys.data(), keys.size());
  if (problem.empty() && !file.trouble.empty())
    problem = "tls.keys: " + credential_path(tls.keys) + ": " + file.trouble;
  settings.keys = std::move(file.keys);
  if (!problem.empty()) return {nullptr, problem};
  std::string warning = warning_of_secret(credential_path(tls.certificate_key));
  if (warning.empty()) warning = warning_of_secret(credential_path(tls.keys));
  auto context = TlsContext::of_server(std::move(settings), problem);
  if (context) return {std::move(context), {}, warning};
  return {nullptr, "tls: " + problem};
}

}  // namespace cproto
