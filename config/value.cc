#include "config/value.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "config/address.h"
#include "config/units.h"
#include "proto/options.h"

namespace cproto::config {
namespace {

std::string show_number(const Domain& domain, std::uint64_t number) {
  switch (domain.kind) {
    case Kind::size: return format_size(number);
    case Kind::time: return format_time(std::chrono::milliseconds(static_cast<std::int64_t>(number)));
    case Kind::boolean:
    case Kind::count:
    case Kind::text:
    case Kind::word:
    case Kind::hosts:
    case Kind::names:
    case Kind::networks: return std::to_string(number);
  }
  return {};
}

std::string choice_of(std::span<const std::string_view> words) {
  std::string choice;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) choice += i + 1 < words.size() ? ", " : " or ";
    choice += quote(words[i]);
  }
  return choice;
}

std::string range_of(const Domain& domain) {
  const std::string range = show_number(domain, domain.min) + " to " + show_number(domain, domain.max);
  return domain.zero_is_no_limit ? range + ", or 0 for no limit" : range;
}

std::string allowed(const Domain& domain) {
  switch (domain.kind) {
    case Kind::boolean: return "must be true or false";
    case Kind::count: return "must be a number from " + range_of(domain);
    case Kind::size: return "must be a size from " + range_of(domain);
    case Kind::time: return "must be a time from " + range_of(domain);
    case Kind::text: return "must be text of " + range_of(domain) + " bytes, without control characters";
    case Kind::word: return "must be " + choice_of(domain.words);
    case Kind::hosts:
      return "must be an IP address (names are not looked up), \"localhost\", a list of these, or \"*\" for all";
    case Kind::names: return "must be a list of names of 1 to 64 of A-Z a-z 0-9 . _ -";
    case Kind::networks: return "must be a list of IP addresses and networks like \"192.0.2.0/24\"";
  }
  return {};
}

Complaint refuse(const Domain& domain) { return {allowed(domain)}; }

// The same where a bare word or number is wanted.
Complaint refuse_bare(const Domain& domain, const Written& written) {
  return {allowed(domain) + (std::holds_alternative<std::string>(written) ? ", without quotes" : "")};
}

Reading in_range(const Domain& domain, std::uint64_t number) {
  const bool ok = (number >= domain.min && number <= domain.max) || (number == 0 && domain.zero_is_no_limit);
  return ok ? Reading(Value(number)) : Reading(refuse(domain));
}

Reading in_range(const Domain& domain, std::int64_t number) {
  return number < 0 ? Reading(refuse(domain)) : in_range(domain, static_cast<std::uint64_t>(number));
}

Reading unreadable(const Domain& domain, const std::string& why) { return Complaint{why + "; " + allowed(domain)}; }

Reading read_boolean(const Domain& domain, const Written& written) {
  const auto* boolean = std::get_if<bool>(&written);
  return boolean != nullptr ? Reading(Value(*boolean)) : Reading(refuse_bare(domain, written));
}

Reading read_count(const Domain& domain, const Written& written) {
  const auto* number = std::get_if<std::int64_t>(&written);
  return number != nullptr ? in_range(domain, *number) : Reading(refuse_bare(domain, written));
}

Reading read_size(const Domain& domain, const Written& written) {
  if (const auto* number = std::get_if<std::int64_t>(&written)) return in_range(domain, *number);
  const auto* text = std::get_if<std::string>(&written);
  if (text == nullptr) return refuse(domain);
  const auto size = parse_size(*text);
  return size.value ? in_range(domain, *size.value) : unreadable(domain, size.error);
}

// A bare number is taken as text, where only 0 goes without a unit.
Reading read_time(const Domain& domain, const Written& written) {
  const auto* number = std::get_if<std::int64_t>(&written);
  const auto* text = std::get_if<std::string>(&written);
  if (number == nullptr && text == nullptr) return refuse(domain);
  const auto time = parse_time(number != nullptr ? std::to_string(*number) : *text);
  return time.value ? in_range(domain, std::int64_t{time.value->count()}) : unreadable(domain, time.error);
}

Reading read_text(const Domain& domain, const Written& written) {
  const auto* text = std::get_if<std::string>(&written);
  if (text == nullptr || text->size() < domain.min || text->size() > domain.max) return refuse(domain);
  if (std::any_of(text->begin(), text->end(), is_control)) return refuse(domain);
  return Value(*text);
}

Reading read_word(const Domain& domain, const Written& written) {
  const auto* text = std::get_if<std::string>(&written);
  if (text == nullptr) return refuse(domain);
  const auto found = std::find(domain.words.begin(), domain.words.end(), *text);
  if (found == domain.words.end()) return refuse(domain);
  return Value(static_cast<std::uint64_t>(found - domain.words.begin()));
}

Reading read_hosts(const Domain& domain, const Written& written) {
  std::vector<std::string> hosts;
  if (const auto* list = std::get_if<std::vector<std::string>>(&written)) hosts = *list;
  if (const auto* one = std::get_if<std::string>(&written)) hosts = {*one};
  if (hosts.empty()) return refuse(domain);
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    const bool all = hosts[i] == "*";
    if (all && hosts.size() > 1) return Complaint{"stands for all addresses, so it must stand alone", i};
    if (!all && !is_address(hosts[i])) return Complaint{allowed(domain), i};
    const auto here = hosts.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::find(hosts.begin(), here, hosts[i]) != here) return Complaint{"is in the list already", i};
  }
  return Value(std::move(hosts));
}

Reading read_list(const Domain& domain, const Written& written, bool (*is_good)(const std::string&)) {
  std::vector<std::string> list;
  if (const auto* many = std::get_if<std::vector<std::string>>(&written)) list = *many;
  if (const auto* one = std::get_if<std::string>(&written)) list = {*one};
  if (list.empty()) return refuse(domain);
  for (std::size_t i = 0; i < list.size(); ++i)
    if (!is_good(list[i])) return Complaint{allowed(domain), i};
  return Value(std::move(list));
}

std::string show_list(const std::vector<std::string>& list) {
  std::string text;
  for (const std::string& one : list) text.append(text.empty() ? "" : ", ").append(quote(one));
  return list.size() == 1 ? text : "[" + text + "]";
}

void append_escaped(std::string& out, char c) {
  constexpr std::string_view kHex = "0123456789abcdef";
  if (c == '"' || c == '\\') {
    (out += '\\') += c;
  } else if (is_control(c)) {
    const auto byte = static_cast<unsigned char>(c);
    ((out += "\\u00") += kHex[byte >> 4]) += kHex[byte & 15];
  } else {
    out += c;
  }
}

}  // namespace

Reading read(const Domain& domain, const Written& written) {
  switch (domain.kind) {
    case Kind::boolean: return read_boolean(domain, written);
    case Kind::count: return read_count(domain, written);
    case Kind::size: return read_size(domain, written);
    case Kind::time: return read_time(domain, written);
    case Kind::text: return read_text(domain, written);
    case Kind::word: return read_word(domain, written);
    case Kind::hosts: return read_hosts(domain, written);
    case Kind::names: return read_list(domain, written, [](const std::string& name) { return is_valid_name(name); });
    case Kind::networks:
      return read_list(domain, written, [](const std::string& text) { return parse_network(text).has_value(); });
  }
  return refuse(domain);
}

Reading read_argument(const Domain& domain, const std::string& typed) {
  if (domain.kind != Kind::count) return read(domain, typed);
  std::int64_t number = 0;
  const char* const end = typed.data() + typed.size();
  const auto [rest, code] = std::from_chars(typed.data(), end, number);
  return code == std::errc() && rest == end ? read(domain, number) : Reading(refuse(domain));
}

std::string show(const Domain& domain, const Value& value) {
  if (const auto* boolean = std::get_if<bool>(&value)) return *boolean ? "true" : "false";
  if (const auto* text = std::get_if<std::string>(&value)) return quote(*text);
  if (const auto* list = std::get_if<std::vector<std::string>>(&value)) return show_list(*list);
  const std::uint64_t number = std::get<std::uint64_t>(value);
  if (domain.kind == Kind::word) return quote(domain.words[number]);
  const bool bare = domain.kind == Kind::count || number == 0;
  return bare ? std::to_string(number) : quote(show_number(domain, number));
}

std::string quote(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) append_escaped(quoted, c);
  return quoted += '"';
}

bool is_control(char c) {
  constexpr unsigned char kFirstPrintable = 0x20;
  constexpr unsigned char kDelete = 0x7f;
  const auto byte = static_cast<unsigned char>(c);
  return byte < kFirstPrintable || byte == kDelete;
}

}  // namespace cproto::config
