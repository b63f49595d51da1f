// Who was refused last, and why: for the question "why does web-1 send nothing?". Bounded; the oldest goes first.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>

#include "proto/error.h"
#include "proto/time.h"

namespace cproto {

class Refusals {
 public:
  struct Entry {
    ErrorCode code = ErrorCode::none;
    Instant at;
    std::string peer;
    Instant said_at;
    std::uint64_t unsaid = 0;  // times since then
  };

  // A client that comes again and again with the same result is not worth a line each time: returns how many times
  // there were since the last line, with this one, if one is due; else 0.
  std::uint64_t note(Instant now, const std::string& client, ErrorCode code, const std::string& peer) {
    if (entries_.size() >= kMax && !entries_.contains(client)) entries_.erase(oldest());
    const auto [it, is_new] = entries_.try_emplace(client);
    Entry& entry = it->second;
    const bool is_due = is_new || entry.code != code || now - entry.said_at >= kSayAgain;
    const std::uint64_t times = entry.code == code ? entry.unsaid + 1 : 1;
    entry = {code, now, peer, is_due ? now : entry.said_at, is_due ? 0 : times};
    return is_due ? times : 0;
  }
  // The client was let in.
  void clear(const std::string& client) { entries_.erase(client); }
  // nullptr if it was not refused since it was last let in.
  const Entry* find(const std::string& client) const {
    const auto it = entries_.find(client);
    return it == entries_.end() ? nullptr : &it->second;
  }

 private:
  static constexpr std::size_t kMax = 1000;
  static constexpr Duration kSayAgain = 10min;
  using Map = std::map<std::string, Entry>;
  Map::iterator oldest() {
    return std::min_element(entries_.begin(), entries_.end(),
                            [](const auto& a, const auto& b) { return a.second.at < b.second.at; });
  }
  Map entries_;
};

}  // namespace cproto
