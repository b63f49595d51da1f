#include "proto/client_key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <utility>

#include "proto/assert.h"
#include "proto/options.h"

namespace cproto {

namespace {

constexpr std::string_view kIdLabel = "cproto key id";
constexpr std::size_t kIdSize = 8;

// PROTOCOL §12.2.
std::string id_of(const Secret& secret) {
  Bytes input(kIdLabel.begin(), kIdLabel.end());
  append(input, secret.bytes());
  std::array<std::uint8_t, 32> digest{};
  CPROTO_ASSERT(EVP_Q_digest(nullptr, "SHA256", nullptr, input.data(), input.size(), digest.data(), nullptr) == 1);
  OPENSSL_cleanse(input.data(), input.size());
  return to_hex(ByteView(digest).first(kIdSize));
}

std::optional<std::uint8_t> digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
  return std::nullopt;
}

std::optional<Secret> parse_secret(std::string_view text) {
  std::array<std::uint8_t, Secret::kSize> bytes{};
  if (text.size() != 2 * bytes.size()) return std::nullopt;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto high = digit(text[2 * i]);
    const auto low = digit(text[2 * i + 1]);
    if (!high || !low) return std::nullopt;
    bytes[i] = static_cast<std::uint8_t>(*high << 4 | *low);
  }
  std::optional<Secret> secret(bytes);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return secret;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// Empty: it is a key.
std::string read_line(std::string_view line, std::vector<ClientKey>& keys) {
  const std::size_t space = line.find_first_of(" \t");
  if (space == std::string_view::npos) return "a line is a client's name, a space and 64 hexadecimal digits";
  const std::string_view name = line.substr(0, space);
  if (!is_valid_name(name)) return "the name of a client is 1 to 64 of A-Z a-z 0-9 . _ -";
  auto secret = parse_secret(trimmed(line.substr(space)));
  if (!secret) return "the key is not 64 hexadecimal digits (0-9, a-f)";
  ClientKey key(std::string(name), std::move(*secret));
  if (std::any_of(keys.begin(), keys.end(), [&](const ClientKey& other) { return other.id == key.id; }))
    return "the same key is there already";
  keys.push_back(std::move(key));
  return {};
}

}  // namespace

Secret::Secret(Secret&& other) noexcept : bytes_(other.bytes_) { other.wipe(); }

Secret& Secret::operator=(Secret&& other) noexcept {
  bytes_ = other.bytes_;
  if (this != &other) other.wipe();
  return *this;
}

void Secret::wipe() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

bool Secret::operator==(const Secret& other) const {
  return CRYPTO_memcmp(bytes_.data(), other.bytes_.data(), bytes_.size()) == 0;
}

ClientKey::ClientKey(std::string client, Secret shared)
    : client_id(std::move(client)), secret(std::move(shared)), id(id_of(secret)) {}

std::string ClientKey::line() const { return client_id + " " + to_hex(secret.bytes()); }

KeyFile read_key_file(std::string_view text) {
  KeyFile file;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    const std::string trouble = read_line(line, file.keys);
    if (trouble.empty()) continue;
    file.keys.clear();
    file.trouble = "line " + std::to_string(number) + ": " + trouble;
    return file;
  }
  return file;
}

}  // namespace cproto
