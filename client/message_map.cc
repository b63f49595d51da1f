#include "client/message_map.h"

#include <algorithm>

namespace cproto::client {

void MessageMap::note(Seq first, std::uint64_t ordinal) {
  if (head_ < runs_.size()) {
    const Run& last = runs_.back();
    if (first - last.first == ordinal - last.ordinal) return;
  }
  runs_.push_back({first, ordinal});
}

std::optional<std::uint64_t> MessageMap::find(Seq first) const {
  const auto begin = runs_.begin() + static_cast<std::ptrdiff_t>(head_);
  const auto after =
      std::upper_bound(begin, runs_.end(), first, [](Seq seq, const Run& run) { return seq < run.first; });
  if (after == begin) return std::nullopt;
  const Run& run = *(after - 1);
  return run.ordinal + (first - run.first);
}

void MessageMap::forget_through(Seq durable_through) {
  while (head_ + 1 < runs_.size() && runs_[head_ + 1].first <= durable_through) ++head_;
  if (head_ * 2 <= runs_.size()) return;
  runs_.erase(runs_.begin(), runs_.begin() + static_cast<std::ptrdiff_t>(head_));
  head_ = 0;
}

}  // namespace cproto::client
