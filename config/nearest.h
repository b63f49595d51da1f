// "Did you mean ...?"
#pragma once

#include <span>
#include <string_view>

namespace cproto::config {

// The candidate that `word` most probably was to be, or an empty view where none is close.
[[nodiscard]] std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace cproto::config
