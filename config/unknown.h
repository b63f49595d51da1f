// What to say of a name that the schema does not have: what was probably meant, where it belongs, or what there is.
#pragma once

#include <string>
#include <string_view>

namespace cproto::config {

// Pre: [section] exists and has no key `name`.
[[nodiscard]] std::string unknown_key(std::string_view section, std::string_view name);

// Pre: [section] is one of [client.NAME], which have no key `name`.
[[nodiscard]] std::string unknown_client_key(std::string_view section, std::string_view name);

// Pre: there is no [name].
[[nodiscard]] std::string unknown_section(std::string_view name);

// Of a key that stands before any section.
[[nodiscard]] std::string homeless_key(std::string_view name);

}  // namespace cproto::config
