#include "config/print.h"

#include "config/schema.h"

namespace cproto::config {
namespace {

std::string heading(const Section& section) {
  std::string text = "\n[" + std::string(section.name) + "]\n";
  if (!section.doc.empty()) text.append("# ").append(section.doc).append("\n");
  return text;
}

std::string entry(const Key& key, const Config& config) {
  std::string text;
  if (!key.doc.empty()) {
    text.append("# ").append(key.doc).append(key.change == Change::by_restart ? " [R]\n" : "\n");
  }
  return text.append(key.name) + " = " + show(key.domain, key.get(config)) + "\n";
}

constexpr std::string_view kClientExample =
    R"(
# A client may send what it likes to its own inbox. To narrow it, as an example:
# [client.web-1]
# channels = ["messages", "nginx"]
# files = false
# from = ["192.0.2.0/24"]
# certificate_name = "web-1.example"
)";

// A key at its default is left out: it narrows nothing.
std::string client_section(const std::string& name, const Config::Client& client) {
  std::string text = "\n[client." + name + "]\n";
  for (const ClientKey& key : client_keys())
    if (key.get(client) != key.get({})) text.append(key.name) += " = " + show(key.domain, key.get(client)) + "\n";
  return text;
}

}  // namespace
}  // namespace cproto::config

namespace cproto {

std::string print(const Config& config) {
  std::string text = "# [R] needs a restart. Sizes: \"64KiB\". Times: \"20s\", \"30d\". 0: no limit.\n";
  for (const config::Section& section : config::sections()) {
    text += config::heading(section);
    for (const config::Key& key : config::keys()) {
      if (key.section == section.name) text += config::entry(key, config);
    }
  }
  if (config.client.empty()) text += config::kClientExample;
  for (const auto& [name, client] : config.client) text += config::client_section(name, client);
  return text;
}

}  // namespace cproto
