#include "client/credentials.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "config/secret_file.h"
#include "proto/options.h"

namespace cproto::client {

namespace {

Problem problem(const std::string& path, const std::string& what) { return {Status::no_input, path + ": " + what}; }

// Reads nothing where nothing is named.
std::optional<Problem> read_text(const std::string& path, std::string& text) {
  if (path.empty()) return std::nullopt;
  if (const int error = read_secret_file(path, text)) return problem(path, std::strerror(error));
  return std::nullopt;
}

void wipe(std::string& text) { explicit_bzero(text.data(), text.size()); }

std::optional<Problem> read_key(const std::string& path, std::optional<ClientKey>& key) {
  std::string text;
  if (auto trouble = read_text(path, text)) return trouble;
  KeyFile file = read_key_file(text);
  wipe(text);
  if (!file.trouble.empty()) return problem(path, file.trouble);
  if (file.keys.size() != 1) return problem(path, "one key is to be in it, as cprotoctl key add prints it");
  key = std::move(file.keys.front());
  return std::nullopt;
}

}  // namespace

std::optional<Problem> read_credentials(const TlsOptions& options, Credentials& credentials) {
  if (!options.is_wanted()) return std::nullopt;
  TlsClientSettings settings;
  if (!options.key.empty())
    if (auto trouble = read_key(options.key, settings.key)) return trouble;
  for (const auto& [path, text] :
       {std::pair(&options.ca, &settings.ca), std::pair(&options.certificate, &settings.certificate),
        std::pair(&options.certificate_key, &settings.certificate_key)})
    if (auto trouble = read_text(*path, *text)) return trouble;
  if (settings.key) credentials.client_id = settings.key->client_id;
  credentials.warning = warning_of_secret(options.key.empty() ? options.certificate_key : options.key);
  std::string trouble;
  credentials.tls = TlsContext::of_client(std::move(settings), trouble);
  if (!credentials.tls) return Problem{Status::no_input, trouble};
  const auto& names = credentials.tls->names();
  // The server takes the same one, if it maps none.
  const auto own = std::find_if(names.begin(), names.end(), [](const auto& name) { return is_valid_name(name); });
  if (credentials.client_id.empty() && own != names.end()) credentials.client_id = *own;
  return std::nullopt;
}

}  // namespace cproto::client
