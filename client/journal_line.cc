#include "client/journal_line.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <optional>

namespace cproto::client {

namespace {

struct Character {
  char32_t code = 0;
  std::size_t bytes = 0;
};

// The first character of `text`, which is not empty; nullopt if it is no UTF-8, or longer than it need be.
std::optional<Character> first_character(std::string_view text) {
  constexpr std::array<char32_t, 5> kLeast{0, 0, 0x80, 0x800, 0x10000};  // that needs so many bytes
  const auto lead = static_cast<std::uint8_t>(text.front());
  if (lead < 0x80) return Character{lead, 1};
  const std::size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc0 || lead >= 0xf8 || text.size() < bytes) return std::nullopt;
  char32_t code = lead & (0x7fU >> bytes);
  for (const char c : text.substr(1, bytes - 1)) {
    const auto next = static_cast<std::uint8_t>(c);
    if ((next & 0xc0) != 0x80) return std::nullopt;
    code = code << 6 | (next & 0x3f);
  }
  if (code < kLeast[bytes]) return std::nullopt;
  return Character{code, bytes};
}

bool is_assignable(char32_t code) {
  const bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
  const bool is_noncharacter = (code >= 0xfdd0 && code <= 0xfdef) || (code & 0xfffe) == 0xfffe;
  return code < 0x110000 && !is_surrogate && !is_noncharacter;
}

bool is_control(char32_t code) {
  return (code < 0x20 && code != '\t' && code != '\n') || (code >= 0x7f && code <= 0x9f);
}

void append_text(std::string& out, std::string_view value) {
  out += '"';
  for (const char c : value) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\t': out += "\\t"; break;
      default: out += c;
    }
  }
  out += '"';
}

void append_numbers(std::string& out, std::string_view value) {
  std::array<char, 4> digits{};
  char separator = '[';
  for (const char c : value) {
    out += separator;
    out.append(digits.data(), std::to_chars(digits.begin(), digits.end(), unsigned{static_cast<std::uint8_t>(c)}).ptr);
    separator = ',';
  }
  out += ']';
}

}  // namespace

bool is_journal_text(std::string_view value) {
  while (!value.empty()) {
    const std::optional<Character> next = first_character(value);
    if (!next || !is_assignable(next->code) || is_control(next->code)) return false;
    value.remove_prefix(next->bytes);
  }
  return true;
}

void JournalLine::add(std::string_view name, std::string_view value) {
  Field& field = find_or_add(name);
  field.is_repeated = !field.values.empty();
  if (field.is_repeated) field.values += ',';
  is_journal_text(value) ? append_text(field.values, value) : append_numbers(field.values, value);
}

JournalLine::Field& JournalLine::find_or_add(std::string_view name) {
  for (std::size_t i = 0; i < used_; ++i)
    if (fields_[i].name == name) return fields_[i];
  if (used_ == fields_.size()) fields_.emplace_back();
  Field& field = fields_[used_++];
  field.name = name;
  field.values.clear();
  return field;
}

void JournalLine::take(std::string& line) {
  line.clear();
  char separator = '{';
  for (std::size_t i = 0; i < used_; ++i) {
    const Field& field = fields_[i];
    // The journal allows but capitals, digits and underscores in a name: nothing to escape.
    line.append(1, separator).append(1, '"').append(field.name).append("\":");
    field.is_repeated ? line.append(1, '[').append(field.values).append(1, ']') : line.append(field.values);
    separator = ',';
  }
  line += '}';
  if (line.size() > kKeptBytes) fields_ = {};
  clear();
}

}  // namespace cproto::client
