// What happened, as text: hashed, so that two runs can be compared; the last of it kept, for a run that fails.
#pragma once

#include <cstdint>
#include <cstdio>
#include <deque>
#include <string>
#include <string_view>

#include "proto/bytes.h"
#include "proto/codec.h"
#include "proto/time.h"
#include "proto/trace.h"

namespace cproto::sim {

class TraceLog {
 public:
  explicit TraceLog(bool is_printing) : is_printing_(is_printing) {}

  void add(Instant now, const std::string& line) {
    char time[32];
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
    std::snprintf(time, sizeof time, "%11.6f  ", static_cast<double>(micros) * 1e-6);
    std::string text = time + line;
    for (const char c : text) hash_ = (hash_ ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
    if (is_printing_) std::printf("%s\n", text.c_str());
    last_.push_back(std::move(text));
    if (last_.size() > kKept) last_.pop_front();
  }

  std::uint64_t hash() const { return hash_; }
  void print_last() const {
    if (is_printing_) return;
    for (const std::string& line : last_) std::printf("  %s\n", line.c_str());
  }

 private:
  static constexpr std::size_t kKept = 60;
  bool is_printing_;
  std::uint64_t hash_ = 0xcbf29ce484222325;
  std::deque<std::string> last_;
};

}  // namespace cproto::sim
