// How numbers and times are written for people, and texts for programs that read JSON.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proto/time.h"

namespace cproto {

// What is counted: "line", "lines".
struct Noun {
  std::string_view one;
  std::string_view many;
};

// "81,004".
std::string grouped(std::uint64_t number);
// "1 line", "81,004 lines".
std::string counted(std::uint64_t number, const Noun& noun);
// "1 line is", "81,004 lines are".
std::string counted_are(std::uint64_t number, const Noun& noun);
// "812 B", "8.1 MiB": for reading, not for parsing.
std::string human_bytes(std::uint64_t bytes);
// "0.9 of 1 GiB": both in the unit of the whole, the part rounded down.
std::string human_part(std::uint64_t part, std::uint64_t whole);
// "40 ms", "0.3 s", "12 s", "10 min", "2 h".
std::string human_time(Duration time);
// "0.31 ms": for round trips.
std::string human_latency(Duration time);

// A stranger's text in a line or on a terminal: what is not printable ASCII becomes \xNN. At most `bytes_max` of it.
std::string printable(std::string_view text, std::size_t bytes_max = 1024);

// A JSON string with its quotes. Bytes that are not ASCII are written as if each were a character of Latin-1.
std::string json_string(std::string_view text);
// A JSON array of members that are JSON already.
std::string json_array(const std::vector<std::string>& members);

// A JSON object, member by member.
class JsonObject {
 public:
  // `value` is JSON already.
  JsonObject& raw(std::string_view name, std::string_view value);
  JsonObject& text(std::string_view name, std::string_view value) { return raw(name, json_string(value)); }
  JsonObject& number(std::string_view name, std::uint64_t value) { return raw(name, std::to_string(value)); }
  // With six digits behind the point.
  JsonObject& seconds(std::string_view name, Duration value);
  std::string str() const { return text_ + "}"; }

 private:
  std::string text_ = "{";
};

}  // namespace cproto
