#include "client/kept_lines.h"

namespace cproto::client {

namespace {

// What is known of the place gets better with time: how the file begins, how long it was.
constexpr Duration kMarkAgain = 10s;

// A place: u64 lines before it, then the input's own.
struct Place {
  std::uint64_t lines = 0;
  ByteView input;
};
Place read(const Bookmark& bookmark) {
  ByteReader reader(bookmark.place);
  const std::uint64_t lines = reader.u64();
  return {lines, reader.rest()};
}

}  // namespace

Piece KeptLines::peek(std::size_t packet_size) {
  Piece piece = lines_.peek(packet_size);
  gave_last_ = piece.is_last;
  return piece;
}

void KeptLines::take(std::size_t bytes, bool is_complete) {
  lines_.take(bytes, is_complete);
  if (is_complete && gave_last_) ++lines_before_;
}

void KeptLines::take_lines(std::uint64_t lines, std::size_t bytes) {
  lines_.take_lines(lines, bytes);
  lines_before_ += lines;
}

int KeptLines::knows(const Bookmark& bookmark, bool& is_known) const {
  return input_.knows(read(bookmark).input, is_known);
}

// What is left of the line is thrown away: the session's count does not say how much that was.
void KeptLines::skip() {
  lines_.skip();
  ++lines_before_;
  must_mark_ = true;
}

std::optional<Bytes> KeptLines::take_bookmark() {
  if (lines_.is_skipping()) return std::nullopt;
  const Instant now = now_();
  const bool is_due = must_mark_ || input_.generation() != marked_generation_ || now - marked_at_ >= kMarkAgain;
  if (!is_due) return std::nullopt;
  must_mark_ = false;
  marked_generation_ = input_.generation();
  marked_at_ = now;
  Bytes place;
  ByteWriter writer(place);
  writer.u64(lines_before_);
  writer.bytes(input_.place());
  return place;
}

std::optional<Problem> KeptLines::begin() {
  const int error = input_.begin();
  return error == 0 ? std::nullopt : std::optional(cannot_read(path_, error, false));
}

Source::Resumed KeptLines::resume(const Bookmark& bookmark, const Progressed& progressed) {
  if (bookmark.place.empty()) {
    if (const auto problem = begin()) lines_.fail(*problem);
    return {};
  }
  const std::uint64_t messages = progressed.messages - bookmark.messages;
  const std::uint64_t behind = progressed.bytes - bookmark.bytes + messages;  // an LF for each
  const Place place = read(bookmark);
  lines_before_ = place.lines + messages;
  if (const int error = input_.resume(place.input, behind)) {
    lines_.fail(cannot_read(path_, error, false));
    return {lines_before_, {}};
  }
  lines_.go_on(progressed.message_bytes.has_value());
  must_mark_ = true;
  if (lines_before_ == 0 || is_endless_) return {lines_before_, {}};
  return {lines_before_, "continuing after line " + grouped(lines_before_) + " (--restart begins anew)"};
}

}  // namespace cproto::client
