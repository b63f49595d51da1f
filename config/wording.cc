#include "config/wording.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace cproto {

namespace {

std::string number(double value, int digits, std::string_view unit) {
  std::array<char, 64> text;
  const int size = std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return std::string(text.data(), static_cast<std::size_t>(size)).append(" ").append(unit);
}

// With one digit behind the point where that says something.
std::string number(double value, std::string_view unit) {
  const double tenths = std::round(value * 10);
  return number(value, value < 100 && std::fmod(tenths, 10) != 0 ? 1 : 0, unit);
}

struct Unit {
  double bytes = 1;
  std::string_view name;
};

// The one in which `bytes` are read best. Pre: at least a KiB.
Unit unit_of(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 5> names = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  Unit unit{1024, names[0]};
  for (std::size_t i = 1; i < names.size() && static_cast<double>(bytes) / unit.bytes >= 1000; ++i)
    unit = {unit.bytes * 1024, names[i]};
  return unit;
}

bool is_printable(char c) { return c >= 0x20 && c <= 0x7e; }

std::string escaped(const char* prefix, char c) {
  constexpr std::string_view digits = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  return std::string(prefix) + digits[byte >> 4] + digits[byte & 15];
}

double in_seconds(Duration time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t i = digits.size(); i > 3;) digits.insert(i -= 3, 1, ',');
  return digits;
}

std::string counted(std::uint64_t number, const Noun& noun) {
  return grouped(number).append(" ").append(number == 1 ? noun.one : noun.many);
}

std::string counted_are(std::uint64_t number, const Noun& noun) {
  return counted(number, noun).append(number == 1 ? " is" : " are");
}

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 1024) return grouped(bytes) + " B";
  const Unit unit = unit_of(bytes);
  return number(static_cast<double>(bytes) / unit.bytes, unit.name);
}

std::string human_part(std::uint64_t part, std::uint64_t whole) {
  if (whole < 1024) return grouped(part) + " of " + human_bytes(whole);
  const double value = static_cast<double>(part) / unit_of(whole).bytes;
  const std::string text = number(std::floor(value * 10) / 10, "");
  return text + "of " + human_bytes(whole);
}

std::string human_time(Duration time) {
  if (time < 100ms) return number(std::max(in_seconds(time) * 1000, 1.0), 0, "ms");
  if (time < 120s) return time < 9950ms ? number(in_seconds(time), "s") : number(in_seconds(time), 0, "s");
  if (time < 2h) return number(in_seconds(time) / 60, 0, "min");
  if (time < 48h) return number(in_seconds(time) / 3600, 0, "h");
  return number(in_seconds(time) / 86400, 0, "d");
}

std::string human_latency(Duration time) {
  return time < 1s ? number(in_seconds(time) * 1000, time < 10ms ? 2 : 0, "ms") : human_time(time);
}

std::string printable(std::string_view text, std::size_t bytes_max) {
  std::string out;
  for (const char c : text.substr(0, bytes_max)) is_printable(c) ? out += c : out += escaped("\\x", c);
  return out;
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    is_printable(c) ? out += c : out += escaped("\\u00", c);
  }
  return out + '"';
}

std::string json_array(const std::vector<std::string>& members) {
  std::string text = "[";
  for (const std::string& member : members) text.append(text.size() > 1 ? "," : "").append(member);
  return text + "]";
}

JsonObject& JsonObject::raw(std::string_view name, std::string_view value) {
  text_.append(text_.size() > 1 ? "," : "").append(json_string(name)).append(":").append(value);
  return *this;
}

JsonObject& JsonObject::seconds(std::string_view name, Duration value) {
  std::array<char, 48> digits{};
  std::snprintf(digits.data(), digits.size(), "%.6f", in_seconds(value));
  return raw(name, digits.data());
}

}  // namespace cproto
