// Figures for people and for programs: the same rows as aligned columns or as JSON.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proto/time.h"

namespace cproto {

// One figure, as it is shown and as it is in JSON.
struct Cell {
  std::string shown;
  std::string json;
  bool is_number = false;  // shown to the right
};

Cell text_cell(std::string_view text);                           // empty is shown as "-"
Cell number_cell(std::uint64_t number);                          // "81,004"
Cell bytes_cell(std::uint64_t bytes);                            // "8.1 MiB"; JSON: bytes
Cell duration_cell(Duration duration);                           // "12 s"; JSON: seconds
Cell rate_cell(double per_second);                               // "1,234/s"
Cell other_cell(std::string_view shown, std::string_view text);  // for people another text than for programs
Cell figure_cell(std::string_view shown, std::uint64_t number);  // the same of a number

// Rows below each other, under headings.
class Table {
 public:
  // The members' names in JSON; headings are these in capitals.
  explicit Table(std::vector<std::string> names) : names_(std::move(names)) {}
  // Pre: as many cells as names.
  void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  bool is_empty() const { return rows_.empty(); }

  std::string text() const;
  std::string json() const;  // an array of objects

 private:
  std::vector<std::string> names_;
  std::vector<std::vector<Cell>> rows_;
};

// Names and figures, one to a line.
class Details {
 public:
  Details& add(std::string_view name, Cell cell);
  std::string text() const;
  std::string json() const;  // an object

 private:
  std::vector<std::pair<std::string, Cell>> rows_;
};

}  // namespace cproto
