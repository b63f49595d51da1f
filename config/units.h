// Sizes and times as people write them: "64KiB", "20s". Whole numbers and one unit, nothing between them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cproto {

// What a text says, or why it says nothing: `error` is a phrase for people, and empty when there is a value.
template <class T>
struct Parsed {
  std::optional<T> value;
  std::string error;
};

// Bytes. B, KiB, MiB, GiB, and KB, MB, GB as powers of 1000; no unit means bytes.
[[nodiscard]] Parsed<std::uint64_t> parse_size(std::string_view text);

// ms, s, min, h, d (24 hours). Only 0 needs no unit.
[[nodiscard]] Parsed<std::chrono::milliseconds> parse_time(std::string_view text);

// In the largest unit (of the binary ones) that needs no fraction, so that parsing gives the same value; 0 is "0".
[[nodiscard]] std::string format_size(std::uint64_t bytes);
// Pre: time >= 0.
[[nodiscard]] std::string format_time(std::chrono::milliseconds time);

}  // namespace cproto
