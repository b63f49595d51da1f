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
  };

  void note(Instant now, const std::string& client, ErrorCode code, const std::string& peer) {
    if (entries_.size() >= kMax && !entries_.contains(client)) entries_.erase(oldest());
    entries_[client] = {code, now, peer};
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
  using Map = std::map<std::string, Entry>;
  Map::iterator oldest() {
    return std::min_element(entries_.begin(), entries_.end(),
                            [](const auto& a, const auto& b) { return a.second.at < b.second.at; });
  }
  Map entries_;
};

}  // namespace cproto
