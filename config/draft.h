// A Config while it is put together: defaults, then the file, then flags. It remembers where each value came from, so
// that what is found wrong at the end still names a line and a column, or a flag.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/config.h"
#include "config/conflicts.h"
#include "config/schema.h"
#include "config/value.h"

namespace cproto::config {

// In the file, counted from 1. Line 0: the file as a whole.
struct Position {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

class Draft {
 public:
  // `file` is how messages name it.
  explicit Draft(std::string file) : file_(std::move(file)) {}

  // Takes a value from the file. `at` has the positions of a list's elements, or the one of the value itself.
  // Pre: it was read in the key's domain.
  void set(const Key& key, const Value& value, std::vector<Position> at);

  // The same of [client.NAME].
  void set(const std::string& client, const ClientKey& key, const Value& value) {
    key.set(config_.client[client], value);
  }
  // Its section is there, whatever is in it.
  void add_client(const std::string& client) { config_.client[client]; }

  // Records an error in the file; with a key, that key then takes no part in what `finish` checks.
  void refuse(Position at, std::string_view what);
  void refuse(const Key& key, Position at, std::string_view what);

  // Reads and checks the flags, which win over the file.
  void apply(const Overrides& overrides);

  // Checks what concerns several keys and hands everything over; the draft is spent.
  [[nodiscard]] LoadResult finish();

 private:
  struct Origin {
    std::vector<Position> at;  // in the file
    std::string flag;          // "--port 80"; empty: the file
  };
  struct Finding {
    Position at;
    std::string line;
  };
  using Findings = std::vector<Finding>;

  void apply(std::string_view flag, const Key& key, const std::optional<std::string>& typed);
  [[nodiscard]] Finding from_file(Position at, std::string_view what) const;
  [[nodiscard]] Finding from_conflict(const Conflict& conflict) const;
  void add_settled(Findings& findings, const std::vector<Conflict>& conflicts) const;

  std::string file_;
  Config config_;
  std::map<const Key*, Origin> origins_;  // of the keys that were set
  std::set<const Key*> refused_;
  Findings errors_;
};

}  // namespace cproto::config
