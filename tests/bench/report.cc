#include "tests/bench/report.h"

#include <cstdio>
#include <string_view>

namespace cproto::bench {

namespace {

constexpr int kLabelWidth = 48;
constexpr int kNumberWidth = 14;

std::string number(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

// 1234567.8 -> "1,234,567.8"
std::string grouped(double value, int decimals) {
  std::string text = number(value, decimals);
  const std::size_t begin = text[0] == '-' ? 1 : 0;
  const std::size_t point = text.find('.');
  for (std::size_t at = point == std::string::npos ? text.size() : point; at > begin + 3;) text.insert(at -= 3, ",");
  return text;
}

std::string padded(const std::string& text, int width) {
  char buffer[256];
  std::snprintf(buffer, sizeof buffer, "%*s", width, text.c_str());
  return buffer;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) out += c;
  }
  return out + '"';
}

std::string member(std::string_view key, const std::string& value) { return quoted(key) + ": " + value; }

std::string figure_json(const Figure& figure) {
  const Spread spread = spread_of(figure.runs);
  const int decimals = figure.decimals + 1;
  std::string runs;
  for (const double value : figure.runs) runs += (runs.empty() ? "" : ", ") + number(value, decimals);
  return "{" + member("median", number(spread.median, decimals)) + ", " + member("min", number(spread.min, decimals)) +
         ", " + member("max", number(spread.max, decimals)) + ", " + member("runs", "[" + runs + "]") + "}";
}

std::string section_json(const Section& section) {
  std::string metrics;
  for (const Figure& figure : section.figures)
    metrics += (metrics.empty() ? "\n      " : ",\n      ") + member(figure.key, figure_json(figure));
  return "    {" + member("work", quoted(section.work)) + ", " + member("heading", quoted(section.heading)) + ", " +
         member("metrics", "{" + metrics + "\n    }}");
}

}  // namespace

std::string to_text(const Report& report) {
  const Options& options = report.options;
  std::string text = "cproto-bench " CPROTO_VERSION ": " + std::to_string(options.runs) + " runs, " +
                     std::to_string(options.connections) +
                     (options.connections == 1 ? " connection, " : " connections, ") + std::to_string(options.size) +
                     " bytes a message";
  if (report.terms.max_packet_size > 0) text += ", packets of " + std::to_string(report.terms.max_packet_size);
  text += '\n';
  text += "server " + report.server + (options.server.empty() ? ", a cprotod of our own" : "") +
          "; disk: " + report.file_system + " (" + report.directory + ")\n";
  for (const Section& section : report.sections) {
    text += "\n" + section.heading + "\n" + std::string(kLabelWidth, ' ');
    for (const char* column : {"median", "min", "max"}) text += padded(column, kNumberWidth);
    text += '\n';
    for (const Figure& figure : section.figures) {
      const Spread spread = spread_of(figure.runs);
      text += "  " + padded(figure.label, -(kLabelWidth - 2));
      for (const double value : {spread.median, spread.min, spread.max})
        text += padded(grouped(value, figure.decimals), kNumberWidth);
      text += '\n';
    }
  }
  return text;
}

std::string to_json(const Report& report) {
  const Options& options = report.options;
  std::string works;
  for (const Section& section : report.sections) works += (works.empty() ? "\n" : ",\n") + section_json(section);
  return "{\n  " + member("program", quoted("cproto-bench " CPROTO_VERSION)) + ",\n  " +
         member("server", quoted(report.server)) + ",\n  " +
         member("own_server", options.server.empty() ? "true" : "false") + ",\n  " +
         member("file_system", quoted(report.file_system)) + ",\n  " + member("runs", std::to_string(options.runs)) +
         ",\n  " + member("connections", std::to_string(options.connections)) + ",\n  " +
         member("size", std::to_string(options.size)) + ",\n  " + member("window", std::to_string(options.window)) +
         ",\n  " + member("max_packet_size", std::to_string(report.terms.max_packet_size)) + ",\n  " +
         member("works", "[" + works + "\n  ]") + "\n}\n";
}

}  // namespace cproto::bench
