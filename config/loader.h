// /etc/cproto.toml: reading and checking it. All mistakes are reported in one run, each with its place. Knows files;
// does not know what a key means, which is schema.cc's.
#pragma once

#include <string>
#include <string_view>

#include "config/config.h"

namespace cproto {

inline constexpr const char* kConfigPath = "/etc/cproto.toml";

// Defaults, then the file at `path`, then the flags. No errors: the config is complete and checked. Never throws.
// A file that cannot be read, or is not there, is an error.
[[nodiscard]] LoadResult load(const std::string& path, const Overrides& overrides = {});

// The same, but no file means the defaults: for kConfigPath, which nobody named.
[[nodiscard]] LoadResult load_if_present(const std::string& path, const Overrides& overrides = {});

// The same of a text; `name` stands for the file in messages.
[[nodiscard]] LoadResult load_text(std::string_view text, const std::string& name, const Overrides& overrides = {});

}  // namespace cproto
