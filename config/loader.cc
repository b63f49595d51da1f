#include "config/loader.h"

#include <toml++/toml.h>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <memory>
#include <sstream>
#include <system_error>
#include <vector>

#include "config/draft.h"
#include "config/schema.h"
#include "config/unknown.h"
#include "config/value.h"
#include "proto/options.h"

namespace cproto::config {
namespace {

Position begin_of(const toml::source_region& region) { return {region.begin.line, region.begin.column}; }
Position begin_of(const toml::node& node) { return begin_of(node.source()); }
Position begin_of(const toml::key& key) { return begin_of(key.source()); }

std::string shown(const toml::node& node) {
  if (const auto* text = node.as_string()) return quote(text->get());
  if (node.is_table()) return "{...}";
  std::ostringstream out;
  node.visit([&out](const auto& value) { out << value; });
  return out.str();
}

Written written(const toml::node& node) {
  if (const auto* boolean = node.as_boolean()) return boolean->get();
  if (const auto* number = node.as_integer()) return number->get();
  if (const auto* text = node.as_string()) return text->get();
  const auto* array = node.as_array();
  if (array == nullptr) return std::monostate{};
  std::vector<std::string> list;
  for (const toml::node& element : *array) {
    const auto* text = element.as_string();
    if (text == nullptr) return std::monostate{};
    list.push_back(text->get());
  }
  return list;
}

std::vector<Position> positions_in(const toml::node& node) {
  const auto* array = node.as_array();
  if (array == nullptr) return {begin_of(node)};
  std::vector<Position> positions;
  for (const toml::node& element : *array) positions.push_back(begin_of(element));
  return positions;
}

// The node a complaint is about: of a list it may be one element.
const toml::node& culprit(const toml::node& node, const Complaint& complaint) {
  const auto* array = node.as_array();
  return array != nullptr && complaint.item ? (*array)[*complaint.item] : node;
}

std::string refusal(const std::string& path, const toml::node& node, const Complaint& complaint) {
  return path + " = " + shown(culprit(node, complaint)) + ": " + complaint.what;
}

void read_value(const Key& key, const toml::node& node, Draft& draft) {
  const Reading reading = read(key.domain, written(node));
  const auto* complaint = std::get_if<Complaint>(&reading);
  if (complaint == nullptr) return draft.set(key, std::get<Value>(reading), positions_in(node));
  draft.refuse(key, begin_of(culprit(node, *complaint)), refusal(key.path(), node, *complaint));
}

// [client.NAME].
void read_client(const std::string& client, const toml::table& table, Draft& draft) {
  draft.add_client(client);
  const std::string section = std::string(kClientSection) + "." + client;
  for (const auto& entry : table) {
    const toml::key& name = entry.first;
    const toml::node& node = entry.second;
    const auto all = client_keys();
    const auto key = std::find_if(all.begin(), all.end(), [&](const ClientKey& one) { return one.name == name.str(); });
    if (key == all.end()) {
      draft.refuse(begin_of(name), unknown_client_key(section, name.str()));
      continue;
    }
    const Reading reading = read(key->domain, written(node));
    if (const auto* complaint = std::get_if<Complaint>(&reading)) {
      const std::string path = section + "." + std::string(key->name);
      draft.refuse(begin_of(culprit(node, *complaint)), refusal(path, node, *complaint));
    } else {
      draft.set(client, *key, std::get<Value>(reading));
    }
  }
}

void read_clients(const toml::table& table, Draft& draft) {
  for (const auto& [name, node] : table) {
    const std::string client(name.str());
    const auto* const section = node.as_table();
    if (section == nullptr)
      draft.refuse(begin_of(name), "client." + client + ": the rules of a client are a section, [client.NAME]");
    else if (!is_valid_name(client))
      draft.refuse(begin_of(name), "[client." + client + "]: the name of a client is 1 to 64 of A-Z a-z 0-9 . _ -");
    else
      read_client(client, *section, draft);
  }
}

void read_section(std::string_view section, const toml::table& table, Draft& draft) {
  for (const auto& [name, node] : table) {
    const Key* const key = find_key(section, name.str());
    if (key != nullptr) {
      read_value(*key, node, draft);
    } else {
      draft.refuse(begin_of(name), unknown_key(section, name.str()));
    }
  }
}

bool is_section(std::string_view name) {
  const auto all = sections();
  return std::any_of(all.begin(), all.end(), [name](const Section& section) { return section.name == name; });
}

void read_entry(const toml::key& name, const toml::node& node, Draft& draft) {
  const auto* const table = node.as_table();
  const std::string text(name.str());
  if (text == kClientSection && table != nullptr) return read_clients(*table, draft);
  if (is_section(text)) {
    if (table != nullptr) return read_section(text, *table, draft);
    return draft.refuse(begin_of(name), text + ": must be a section, [" + text + "]");
  }
  const bool is_key = table == nullptr && !node.is_array_of_tables();
  draft.refuse(begin_of(name), is_key ? homeless_key(text) : unknown_section(text));
}

// The commonest mistake deserves more than toml++ can say of it: a size, time or word without its quotes.
std::string syntax_error(std::string_view description) {
  std::string what(description);
  for (const std::string_view kind : {"parsing value", "parsing decimal integer", "parsing floating-point"}) {
    if (description.find(kind) == std::string_view::npos) continue;
    return what + "; only numbers, true and false go without quotes";
  }
  return what;
}

// toml++ throws, and nothing of it leaves here. A syntax error is reported alone: what follows it would be a guess.
void read_text(std::string_view text, Draft& draft) {
  try {
    const toml::table document = toml::parse(text);
    for (const auto& [name, node] : document) read_entry(name, node, draft);
  } catch (const toml::parse_error& error) {
    draft.refuse(begin_of(error.source()), syntax_error(error.description()));
  } catch (const std::exception& error) {
    draft.refuse({}, error.what());
  }
}

// The text of a file, or errno.
struct FileText {
  std::string text;
  int error = 0;
};

FileText read_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), std::fclose);
  if (!file) return {{}, errno};
  constexpr std::size_t kFileMax = 1u << 20;  // a device or a log named by mistake ends here
  FileText result{std::string(kFileMax + 1, '\0')};
  result.text.resize(std::fread(result.text.data(), 1, result.text.size(), file.get()));
  if (std::ferror(file.get()) != 0) result.error = errno;
  if (result.text.size() > kFileMax) result.error = EFBIG;
  return result;
}

// Nobody named the default file, so it may be missing.
enum class IfMissing : std::uint8_t { error, defaults };

LoadResult load(const std::string& path, IfMissing if_missing, const Overrides& overrides) {
  Draft draft(path);
  const FileText file = read_file(path);
  if (file.error == 0) {
    read_text(file.text, draft);
  } else if (file.error != ENOENT || if_missing == IfMissing::error) {
    draft.refuse({}, std::generic_category().message(file.error));
  }
  draft.apply(overrides);
  return draft.finish();
}

}  // namespace
}  // namespace cproto::config

namespace cproto {

LoadResult load(const std::string& path, const Overrides& overrides) {
  return config::load(path, config::IfMissing::error, overrides);
}

LoadResult load_if_present(const std::string& path, const Overrides& overrides) {
  return config::load(path, config::IfMissing::defaults, overrides);
}

LoadResult load_text(std::string_view text, const std::string& name, const Overrides& overrides) {
  config::Draft draft(name);
  config::read_text(text, draft);
  draft.apply(overrides);
  return draft.finish();
}

}  // namespace cproto
