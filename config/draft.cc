#include "config/draft.h"

#include <algorithm>
#include <limits>
#include <tuple>

namespace cproto::config {
namespace {

// Behind everything that is in the file.
constexpr Position kFlags = {std::numeric_limits<std::uint32_t>::max(), 0};

// A message is one line, whatever was quoted into it.
std::string one_line(std::string text) {
  std::replace_if(text.begin(), text.end(), is_control, ' ');
  return text;
}

}  // namespace

void Draft::set(const Key& key, const Value& value, std::vector<Position> at) {
  key.set(config_, value);
  origins_[&key] = Origin{std::move(at), {}};
}

void Draft::refuse(Position at, std::string_view what) { errors_.push_back(from_file(at, what)); }

void Draft::refuse(const Key& key, Position at, std::string_view what) {
  refused_.insert(&key);
  refuse(at, what);
}

void Draft::apply(const Overrides& overrides) {
  apply("--directory", *find_key("store", "directory"), overrides.directory);
  apply("--host", *find_key("listen", "host"), overrides.host);
  apply("--port", *find_key("listen", "port"), overrides.port);
  apply("--max-size", *find_key("session", "max_packet_size"), overrides.max_size);
}

void Draft::apply(std::string_view flag, const Key& key, const std::optional<std::string>& typed) {
  if (!typed) return;
  const std::string text = std::string(flag) + " " + *typed;
  const Reading reading = read_argument(key.domain, *typed);
  if (const auto* complaint = std::get_if<Complaint>(&reading)) {
    refused_.insert(&key);
    errors_.push_back({kFlags, one_line(text + ": " + complaint->what)});
    return;
  }
  key.set(config_, std::get<Value>(reading));
  origins_[&key] = Origin{{}, text};
  refused_.erase(&key);  // the file's value is wrong all the same, but no longer the one to check
}

LoadResult Draft::finish() {
  Findings warnings;
  add_settled(errors_, conflicts(config_));
  add_settled(warnings, doubts(config_));

  LoadResult result{std::move(config_), {}, {}};
  const auto by_position = [](const Finding& a, const Finding& b) {
    return std::tie(a.at.line, a.at.column) < std::tie(b.at.line, b.at.column);
  };
  std::stable_sort(errors_.begin(), errors_.end(), by_position);
  for (Finding& finding : errors_) result.errors.push_back(std::move(finding.line));
  for (Finding& finding : warnings) result.warnings.push_back(std::move(finding.line));
  return result;
}

// A conflict with a value that was refused says nothing: what stands in its place is only the default.
void Draft::add_settled(Findings& findings, const std::vector<Conflict>& conflicts) const {
  for (const Conflict& conflict : conflicts) {
    if (refused_.contains(conflict.key) || refused_.contains(conflict.other)) continue;
    findings.push_back(from_conflict(conflict));
  }
}

Draft::Finding Draft::from_file(Position at, std::string_view what) const {
  std::string where = file_;
  if (at.line != 0) where += ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
  return {at, one_line(where + ": " + std::string(what))};
}

// Told where the key was set; a key at its default is named at the place of the other, which must have been set then.
Draft::Finding Draft::from_conflict(const Conflict& conflict) const {
  const auto own = origins_.find(conflict.key);
  const auto origin = own != origins_.end() ? own : origins_.find(conflict.other);
  const std::string subject = conflict.key->path() + " = " + conflict.shown + ": " + conflict.what;
  if (origin == origins_.end()) return from_file({}, subject);
  if (origin->second.flag.empty()) {
    const std::size_t item = origin == own ? conflict.item : 0;
    return from_file(origin->second.at[item], subject);
  }
  const std::string& said = origin == own ? conflict.what : subject;
  return {kFlags, one_line(origin->second.flag + ": " + said)};
}

}  // namespace cproto::config
