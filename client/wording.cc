#include "client/wording.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdio>

namespace cproto::client {

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

std::string escaped(std::uint8_t byte, const char* prefix) { return prefix + to_hex({&byte, 1}); }

bool is_printable(std::uint8_t byte) { return byte >= 0x20 && byte <= 0x7e; }

double seconds(Duration time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t i = digits.size(); i > 3;) digits.insert(i -= 3, ",");
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
  constexpr std::array units = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 1000 && unit + 1 < units.size(); ++unit) value /= 1024;
  return number(value, units[unit]);
}

std::string human_time(Duration time) {
  if (time < 100ms) return number(std::max(seconds(time) * 1000, 1.0), 0, "ms");
  if (time < 120s) return time < 9950ms ? number(seconds(time), "s") : number(seconds(time), 0, "s");
  if (time < 2h) return number(seconds(time) / 60, 0, "min");
  if (time < 48h) return number(seconds(time) / 3600, 0, "h");
  return number(seconds(time) / 86400, 0, "d");
}

std::string human_latency(Duration time) {
  return time < 1s ? number(seconds(time) * 1000, time < 10ms ? 2 : 0, "ms") : human_time(time);
}

std::string printable(ByteView bytes, std::size_t bytes_max) {
  std::string text;
  for (const std::uint8_t byte : bytes.first(std::min(bytes.size(), bytes_max))) {
    if (is_printable(byte)) {
      text += static_cast<char>(byte);
    } else {
      text += escaped(byte, "\\x");
    }
  }
  return text;
}

std::string printable(std::string_view text, std::size_t bytes_max) { return printable(as_bytes(text), bytes_max); }

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const std::uint8_t byte : as_bytes(text)) {
    if (byte == '"' || byte == '\\') out += '\\';
    if (is_printable(byte)) {
      out += static_cast<char>(byte);
    } else {
      out += escaped(byte, "\\u00");
    }
  }
  return out + '"';
}

std::string short_id(const Id128& id) { return to_hex(ByteView(id).first(4)); }

std::string with_clause(std::string_view sentence, std::string_view more) {
  std::string text(sentence);
  if (more.empty()) return text;
  if (!text.ends_with('?')) return text.append("; ").append(more);
  text.append(" ");
  text += static_cast<char>(std::toupper(static_cast<unsigned char>(more.front())));
  return text.append(more.substr(1));
}

}  // namespace cproto::client
