// How numbers, times and foreign bytes are written for people, and for programs that read JSON.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/bytes.h"
#include "proto/time.h"

namespace cproto::client {

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
// "40 ms", "0.3 s", "12 s", "10 min", "2 h".
std::string human_time(Duration time);
// "0.31 ms": for round trips.
std::string human_latency(Duration time);

// Bytes of a stranger on a terminal: what is not printable ASCII becomes \xNN. At most `bytes_max` of them.
std::string printable(ByteView bytes, std::size_t bytes_max);
std::string printable(std::string_view text, std::size_t bytes_max = 1024);

// A JSON string with its quotes. Bytes that are not ASCII are written as if each were a character of Latin-1.
std::string json_string(std::string_view text);

// The first 8 digits of an id that is no secret.
std::string short_id(const Id128& id);

// `sentence`, then `more` behind a semicolon; behind a question mark, as a sentence of its own.
std::string with_clause(std::string_view sentence, std::string_view more);

}  // namespace cproto::client
