// The keys of /etc/cproto.toml, one row each. The loader, the hint at an unknown key, --print-config and the comments
// of the shipped file all follow from this table.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/value.h"

namespace cproto::config {

struct Section {
  std::string_view name;
  std::string_view doc;  // of the section as a whole, or empty
};

enum class Change : std::uint8_t { by_reload, by_restart };

struct Key {
  std::string_view section;
  std::string_view name;
  Domain domain;
  Change change;
  std::string_view doc;  // one line; empty: the line of the key above speaks for this one too
  Value (*get)(const Config&);
  void (*set)(Config&, const Value&);  // Pre: the value was read in `domain`

  [[nodiscard]] std::string path() const;  // "listen.port"
};

// Of a section [client.NAME]. A reload changes each.
struct ClientKey {
  std::string_view name;
  Domain domain;
  std::string_view doc;
  Value (*get)(const Config::Client&);
  void (*set)(Config::Client&, const Value&);
};
inline constexpr std::string_view kClientSection = "client";

[[nodiscard]] std::span<const ClientKey> client_keys();

// In the order of the shipped file; a section's keys stand together.
[[nodiscard]] std::span<const Section> sections();
[[nodiscard]] std::span<const Key> keys();

// nullptr if there is none.
[[nodiscard]] const Key* find_key(std::string_view section, std::string_view name);

}  // namespace cproto::config

namespace cproto {

// Paths of the keys that differ and that a running daemon cannot change.
[[nodiscard]] std::vector<std::string> keys_needing_restart(const Config& old, const Config& next);

}  // namespace cproto
