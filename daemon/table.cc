#include "daemon/table.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>

#include "config/wording.h"
#include "proto/assert.h"

namespace cproto {

namespace {

// The JSON name `in_flight` is headed "IN FLIGHT".
std::string heading(const std::string& name) {
  std::string text = name;
  for (char& c : text) c = c == '_' ? ' ' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

void put(std::string& line, const std::string& text, std::size_t width, bool to_the_right) {
  if (!line.empty()) line += "  ";
  const std::string padding(width - std::min(width, text.size()), ' ');
  line += to_the_right ? padding + text : text + padding;
}

void end(std::string& text, std::string& line) {
  line.erase(line.find_last_not_of(' ') + 1);
  text += line + '\n';
  line.clear();
}

}  // namespace

Cell text_cell(std::string_view text) { return {text.empty() ? "-" : std::string(text), json_string(text)}; }
Cell number_cell(std::uint64_t number) { return {grouped(number), std::to_string(number), true}; }
Cell bytes_cell(std::uint64_t bytes) { return {human_bytes(bytes), std::to_string(bytes), true}; }
Cell duration_cell(Duration duration) {
  return {human_time(duration), fixed(std::chrono::duration<double>(duration).count(), 3), true};
}
Cell rate_cell(double per_second) {
  const std::string shown = per_second > 0 && per_second < 10
                                ? fixed(per_second, 1)
                                : grouped(static_cast<std::uint64_t>(std::llround(per_second)));
  return {shown + "/s", fixed(per_second, 3), true};
}
Cell other_cell(std::string_view shown, std::string_view text) { return {std::string(shown), json_string(text)}; }
Cell figure_cell(std::string_view shown, std::uint64_t number) { return {std::string(shown), std::to_string(number)}; }

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < names_.size(); ++i) {
    widths.push_back(names_[i].size());
    for (const auto& row : rows_) widths[i] = std::max(widths[i], row[i].shown.size());
  }
  std::string text;
  std::string line;
  for (std::size_t i = 0; i < names_.size(); ++i)
    put(line, heading(names_[i]), widths[i], !rows_.empty() && rows_[0][i].is_number);
  end(text, line);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) put(line, row[i].shown, widths[i], row[i].is_number);
    end(text, line);
  }
  return text;
}

std::string Table::json() const {
  std::vector<std::string> objects;
  for (const auto& row : rows_) {
    CPROTO_ASSERT(row.size() == names_.size());
    JsonObject object;
    for (std::size_t i = 0; i < row.size(); ++i) object.raw(names_[i], row[i].json);
    objects.push_back(object.str());
  }
  return json_array(objects) + "\n";
}

Details& Details::add(std::string_view name, Cell cell) {
  rows_.emplace_back(name, std::move(cell));
  return *this;
}

std::string Details::text() const {
  std::size_t width = 0;
  for (const auto& [name, cell] : rows_) width = std::max(width, name.size());
  std::string text;
  std::string line;
  for (const auto& [name, cell] : rows_) {
    std::string shown = name;
    std::replace(shown.begin(), shown.end(), '_', ' ');
    put(line, shown, width, false);
    put(line, cell.shown, 0, false);
    end(text, line);
  }
  return text;
}

std::string Details::json() const {
  JsonObject object;
  for (const auto& [name, cell] : rows_) object.raw(name, cell.json);
  return object.str() + "\n";
}

}  // namespace cproto
