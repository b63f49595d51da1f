// Where the source stood at points of the session that are not durable yet, and at the last one that is: enough to lead
// it back to wherever the server says that the session stands.
#pragma once

#include <cstddef>
#include <deque>
#include <utility>

#include "client/source.h"

namespace cproto::client {

// More of them are not made before some are durable.
inline constexpr std::size_t kBookmarksMax = 64;

class Bookmarks {
 public:
  // Pre: not before the last one.
  void note(Bookmark bookmark);
  // Everything up to here is durable.
  void forget_before(std::uint64_t messages, std::uint64_t bytes);
  // The source is led back to this point; what lies behind it will come again.
  void forget_behind(std::uint64_t messages, std::uint64_t bytes);
  // The last one that is not behind this point; nullptr if there is none.
  const Bookmark* find(std::uint64_t messages, std::uint64_t bytes) const;

  bool is_full() const { return marks_.size() >= kBookmarksMax; }
  const std::deque<Bookmark>& all() const { return marks_; }
  void restore(std::deque<Bookmark> marks) { marks_ = std::move(marks); }

 private:
  std::deque<Bookmark> marks_;
};

}  // namespace cproto::client
