#include "config/unknown.h"

#include <vector>

#include "config/nearest.h"
#include "config/schema.h"

namespace cproto::config {
namespace {

struct Quotes {
  std::string_view before, after;
};
constexpr Quotes kOfKey = {"\"", "\""};
constexpr Quotes kOfSection = {"[", "]"};

using Names = std::vector<std::string_view>;

std::string join(const Names& names, Quotes quotes, std::string_view between) {
  std::string text;
  for (const std::string_view name : names) {
    text.append(text.empty() ? "" : between).append(quotes.before).append(name).append(quotes.after);
  }
  return text;
}

std::string hint(std::string_view name, const Names& names, Quotes quotes) {
  const std::string_view meant = nearest(name, names);
  if (meant.empty()) return "there are " + join(names, quotes, ", ");
  return "did you mean " + join({meant}, quotes, "") + "?";
}

Names keys_of(std::string_view section) {
  Names names;
  for (const Key& key : keys()) {
    if (key.section == section) names.push_back(key.name);
  }
  return names;
}

Names homes_of(std::string_view name) {
  Names homes;
  for (const Key& key : keys()) {
    if (key.name == name) homes.push_back(key.section);
  }
  return homes;
}

}  // namespace

std::string unknown_key(std::string_view section, std::string_view name) {
  const Names homes = homes_of(name);
  const std::string help =
      homes.empty() ? hint(name, keys_of(section), kOfKey) : "it belongs in " + join(homes, kOfSection, " or ");
  return std::string(section).append(".").append(name) + ": unknown key; " + help;
}

std::string unknown_client_key(std::string_view section, std::string_view name) {
  Names names;
  for (const ClientKey& key : client_keys()) names.push_back(key.name);
  return std::string(section).append(".").append(name) + ": unknown key; " + hint(name, names, kOfKey);
}

std::string unknown_section(std::string_view name) {
  Names names;
  for (const Section& section : sections()) names.push_back(section.name);
  names.push_back("client.NAME");
  return join({name}, kOfSection, "") + ": unknown section; " + hint(name, names, kOfSection);
}

std::string homeless_key(std::string_view name) {
  const Names homes = homes_of(name);
  const std::string help =
      homes.empty() ? "every key belongs in a section" : "it belongs in " + join(homes, kOfSection, " or ");
  return std::string(name) + ": unknown key; " + help;
}

}  // namespace cproto::config
