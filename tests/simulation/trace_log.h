// What happened, as text: hashed, so that two runs can be compared; the last of it kept, for a run that fails. What the
// frames of a write are called is found out only when somebody looks.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "proto/bytes.h"
#include "proto/time.h"

namespace cproto::sim {

class TraceLog {
 public:
  explicit TraceLog(bool is_printing) : is_printing_(is_printing) {}

  void add(Instant now, std::string_view line) { add(now, line, {}); }
  // What a side wrote: whole frames.
  void add_frames(Instant now, std::string_view who, ByteView frames) { add(now, who, frames); }

  std::uint64_t hash() const { return hash_; }
  void print_last() const;

 private:
  static constexpr std::size_t kKept = 60;
  struct Entry {
    Instant at{};
    std::string text;
    Bytes frames;
  };
  void add(Instant now, std::string_view text, ByteView frames);
  void mix(std::uint64_t value) { hash_ = (hash_ ^ value) * 0x100000001b3; }
  static void print(const Entry& entry, const char* indent);

  bool is_printing_;
  std::uint64_t hash_ = 0xcbf29ce484222325;
  std::uint64_t count_ = 0;
  std::array<Entry, kKept> last_;  // a ring by count_
};

}  // namespace cproto::sim
