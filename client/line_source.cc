#include "client/line_source.h"

#include <algorithm>
#include <cstring>

namespace cproto::client {

namespace {

Piece waiting() { return {Piece::Kind::wait, {}, false, {}}; }

}  // namespace

Piece LineSource::peek(std::size_t packet_size) {
  if (is_over()) return {};
  if (failure_) return {Piece::Kind::broken, {}, false, *failure_, {}, {}};
  if (is_skipping_) {
    if (auto why_not = drop_line()) return *why_not;
  }
  while (true) {
    const std::optional<std::size_t> line_feed = find_line_feed();
    const ByteView data = input_->data();
    gave_last_ = ends_at_line_feed_ = line_feed.has_value();
    if (line_feed) return {Piece::Kind::part, data.first(*line_feed), true, {}};
    if (data.size() >= packet_size)
      return {Piece::Kind::part, data.first(data.size() / packet_size * packet_size), false, {}};
    switch (read_on()) {
      case ByteInput::Got::some: break;
      case ByteInput::Got::wait: return waiting();
      case ByteInput::Got::end: return last_piece();
      case ByteInput::Got::boundary:
        if (has_rest()) return last_piece();
        cross_boundary();
        break;
      case ByteInput::Got::failed: return failed();
    }
  }
}

// No byte is looked at twice, however slowly a long line comes.
std::optional<std::size_t> LineSource::find_line_feed() {
  const ByteView data = input_->data();
  const ByteView fresh = data.subspan(searched_);
  const void* found = fresh.empty() ? nullptr : std::memchr(fresh.data(), '\n', fresh.size());
  searched_ = data.size();
  if (found == nullptr) return std::nullopt;
  searched_ = static_cast<std::size_t>(static_cast<const std::uint8_t*>(found) - data.data());
  return searched_;
}

ByteInput::Got LineSource::read_on() {
  if (is_stopped_) return ByteInput::Got::end;
  const ByteInput::Got got = is_at_boundary_ ? ByteInput::Got::boundary : input_->fill();
  is_at_boundary_ = got == ByteInput::Got::boundary;
  searched_ = std::min(searched_, input_->data().size());  // it may have let go of what it will read again
  return got;
}

void LineSource::cross_boundary() {
  is_at_boundary_ = false;
  searched_ = 0;
}

// A last line without LF is a line. So is what was read of one when we are told to stop: nobody has it any more.
Piece LineSource::last_piece() {
  if (!has_rest()) return {};
  gave_last_ = true;
  return {Piece::Kind::part, input_->data(), true, {}};
}

Piece LineSource::failed() {
  failure_ = cannot_read(path_, input_->error(), true);
  return {Piece::Kind::broken, {}, false, *failure_, {}, {}};
}

std::optional<Piece> LineSource::drop_line() {
  while (true) {
    const std::optional<std::size_t> line_feed = find_line_feed();
    input_->consume(line_feed ? *line_feed + 1 : input_->data().size());
    searched_ = 0;
    if (line_feed) break;
    switch (read_on()) {
      case ByteInput::Got::some: break;
      case ByteInput::Got::wait: return waiting();
      case ByteInput::Got::end: is_skipping_ = is_in_line_ = false; return Piece{};
      case ByteInput::Got::boundary:
        cross_boundary();
        is_skipping_ = is_in_line_ = false;
        return std::nullopt;
      case ByteInput::Got::failed: return failed();
    }
  }
  is_skipping_ = is_in_line_ = false;
  return std::nullopt;
}

void LineSource::take(std::size_t bytes, bool is_complete) {
  const bool ends_line = is_complete && gave_last_;
  input_->consume(ends_line && ends_at_line_feed_ ? bytes + 1 : bytes);
  searched_ -= bytes;
  is_in_line_ = !ends_line;
}

ByteView LineSource::lines_at_hand() const {
  if (failure_ || is_over() || is_skipping_ || is_in_line_) return {};
  return input_->data();
}

// The search begins anew behind them: it had come to the end of a line before, and no further.
void LineSource::take_lines(std::uint64_t, std::size_t bytes) {
  input_->consume(bytes);
  searched_ = 0;
}

void LineSource::skip() {
  is_skipping_ = true;
  if (!failure_) return;
  has_failed_ = true;
  failure_.reset();
}

}  // namespace cproto::client
