// Lines from an input whose place can be remembered: a command that was interrupted, or a log that is followed, goes on
// with the line behind the last one that is durable. While lines follow each other, the session's own count says where
// that is: its payload bytes, and an LF for each message; a bookmark is made where they do not.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "client/line_source.h"
#include "client/placed_input.h"
#include "proto/time.h"

namespace cproto::client {

class KeptLines final : public Source {
 public:
  // `is_endless`: a log that is followed.
  KeptLines(const std::string& path, std::unique_ptr<PlacedInput> input, bool is_endless, std::function<Instant()> now)
      : path_(path), input_(*input), lines_(path, std::move(input)), is_endless_(is_endless), now_(std::move(now)) {}

  Piece peek(std::size_t packet_size) override;
  void take(std::size_t bytes, bool is_complete) override;
  ByteView lines_at_hand() const override { return lines_.lines_at_hand(); }
  void take_lines(std::uint64_t lines, std::size_t bytes) override;
  void skip() override;
  void stop() override { lines_.stop(); }
  bool is_drained() override { return lines_.is_drained(); }
  std::optional<Bytes> take_bookmark() override;
  std::optional<Problem> begin() override;
  int knows(const Bookmark& bookmark, bool& is_known) const override;
  Resumed resume(const Bookmark& bookmark, const Progressed& progressed) override;
  bool can_continue() const override { return true; }
  bool is_cut_short() const override { return lines_.has_failed(); }
  std::string name(std::uint64_t number) const override { return lines_.name(number); }
  Noun noun() const override { return lines_.noun(); }
  bool is_lost_by_giving_up() const override { return is_endless_; }

 private:
  std::string path_;
  PlacedInput& input_;
  LineSource lines_;
  bool is_endless_;
  std::function<Instant()> now_;
  std::uint64_t lines_before_ = 0;  // the one under way
  bool gave_last_ = false;          // the piece last given ends its line
  bool must_mark_ = true;
  std::uint64_t marked_generation_ = 0;
  Instant marked_at_{};
};

}  // namespace cproto::client
