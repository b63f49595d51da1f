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
  return text;
}

}  // namespace cproto
