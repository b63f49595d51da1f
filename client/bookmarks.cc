#include "client/bookmarks.h"

namespace cproto::client {

namespace {

bool is_behind(const Bookmark& mark, std::uint64_t messages, std::uint64_t bytes) {
  return mark.messages > messages || mark.bytes > bytes;
}

}  // namespace

void Bookmarks::note(Bookmark bookmark) {
  const bool is_same_point =
      !marks_.empty() && marks_.back().messages == bookmark.messages && marks_.back().bytes == bookmark.bytes;
  if (is_same_point) marks_.pop_back();
  marks_.push_back(std::move(bookmark));
}

void Bookmarks::forget_before(std::uint64_t messages, std::uint64_t bytes) {
  while (marks_.size() > 1 && !is_behind(marks_[1], messages, bytes)) marks_.pop_front();
}

void Bookmarks::forget_behind(std::uint64_t messages, std::uint64_t bytes) {
  std::erase_if(marks_, [&](const Bookmark& mark) { return is_behind(mark, messages, bytes); });
}

const Bookmark* Bookmarks::find(std::uint64_t messages, std::uint64_t bytes) const {
  const Bookmark* found = nullptr;
  for (const Bookmark& mark : marks_)
    if (!is_behind(mark, messages, bytes)) found = &mark;
  return found;
}

}  // namespace cproto::client
