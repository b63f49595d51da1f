#include "config/units.h"

#include <array>
#include <charconv>
#include <limits>
#include <span>

namespace cproto {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
using Units = std::span<const Unit>;

// Largest first: formatting takes the first that divides.
constexpr std::array kSizeUnits = {
    Unit{"GiB", 1u << 30},      Unit{"MiB", 1u << 20},  Unit{"KiB", 1u << 10}, Unit{"B", 1},
    Unit{"GB", 1'000'000'000u}, Unit{"MB", 1'000'000u}, Unit{"KB", 1'000u},
};
constexpr std::size_t kSizeUnitsBinary = 4;

constexpr std::array kTimeUnits = {
    Unit{"d", 86'400'000}, Unit{"h", 3'600'000}, Unit{"min", 60'000}, Unit{"s", 1'000}, Unit{"ms", 1},
};

std::string names_of(Units units) {
  std::string names;
  for (const Unit& unit : units) names.append(names.empty() ? "" : ", ").append(unit.name);
  return names;
}

Parsed<std::uint64_t> failed(std::string error) { return {std::nullopt, std::move(error)}; }

Parsed<std::uint64_t> scale(std::uint64_t number, std::string_view name, Units units, std::uint64_t max) {
  for (const Unit& unit : units) {
    if (unit.name != name) continue;
    if (number > max / unit.factor) return failed("too large");
    return {number * unit.factor, {}};
  }
  return failed("unit \"" + std::string(name) + "\" is none of " + names_of(units));
}

// `unit_if_none` is what a bare number means; empty where it means nothing.
Parsed<std::uint64_t> parse(std::string_view text, Units units, std::string_view unit_if_none, std::uint64_t max) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, code] = std::from_chars(text.data(), end, number);
  if (code == std::errc::result_out_of_range) return failed("too large");
  if (code != std::errc()) return failed("does not begin with a number");
  const std::string_view name = text.substr(static_cast<std::size_t>(rest - text.data()));
  if (name.starts_with('.')) return failed("not a whole number");
  if (!name.empty()) return scale(number, name, units, max);
  if (unit_if_none.empty() && number != 0) return failed("lacks a unit, one of " + names_of(units));
  return number == 0 ? Parsed<std::uint64_t>{0, {}} : scale(number, unit_if_none, units, max);
}

std::string format(std::uint64_t number, Units units) {
  if (number == 0) return "0";
  for (const Unit& unit : units) {
    if (number % unit.factor == 0) return std::to_string(number / unit.factor).append(unit.name);
  }
  return std::to_string(number);
}

}  // namespace

Parsed<std::uint64_t> parse_size(std::string_view text) {
  return parse(text, kSizeUnits, "B", std::numeric_limits<std::uint64_t>::max());
}

Parsed<std::chrono::milliseconds> parse_time(std::string_view text) {
  Parsed<std::uint64_t> parsed = parse(text, kTimeUnits, "", std::numeric_limits<std::int64_t>::max());
  if (!parsed.value) return {std::nullopt, std::move(parsed.error)};
  return {std::chrono::milliseconds(static_cast<std::int64_t>(*parsed.value)), {}};
}

std::string format_size(std::uint64_t bytes) { return format(bytes, Units(kSizeUnits).first(kSizeUnitsBinary)); }

std::string format_time(std::chrono::milliseconds time) {
  return format(static_cast<std::uint64_t>(time.count()), kTimeUnits);
}

}  // namespace cproto
