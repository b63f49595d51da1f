// What a key may hold: from what was written (in a file or behind a flag) to a checked value, and back to text.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace cproto::config {

enum class Kind : std::uint8_t { boolean, count, size, time, text, word, hosts, names, networks };

struct Domain {
  Kind kind = Kind::boolean;
  // Both inclusive. count: the number; size: bytes; time: milliseconds; text: its length in bytes; else unused.
  std::uint64_t min = 0;
  std::uint64_t max = 0;
  bool zero_is_no_limit = false;
  std::span<const std::string_view> words = {};  // of a word
};

// bool: boolean. Number: count, size in bytes, time in milliseconds, word as its index. Text: text. List: hosts, names,
// networks.
using Value = std::variant<bool, std::uint64_t, std::string, std::vector<std::string>>;

// The same before it was understood. monostate: of a type that no key has.
using Written = std::variant<std::monostate, bool, std::int64_t, std::string, std::vector<std::string>>;

struct Complaint {
  std::string what;                      // what is wrong and what is allowed, for people
  std::optional<std::size_t> item = {};  // the one of a list that is meant
};
using Reading = std::variant<Value, Complaint>;

// What was written, if it lies in the domain.
[[nodiscard]] Reading read(const Domain& domain, const Written& written);

// The same for an argument, which is always text. Pre: the domain is no boolean, whose flags take no argument.
[[nodiscard]] Reading read_argument(const Domain& domain, const std::string& typed);

// As a file says it. Pre: `value` is of the domain's kind.
[[nodiscard]] std::string show(const Domain& domain, const Value& value);

// A TOML string: in quotes, with escapes.
[[nodiscard]] std::string quote(std::string_view text);

// Of ASCII. Such a byte would break a line of the log, or act on the terminal that shows it.
[[nodiscard]] bool is_control(char c);

}  // namespace cproto::config
