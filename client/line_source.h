// Each line of a file or of standard input a message: cut at LF, everything else kept, and a last line without LF
// counts, also where one file ends and the input goes on with another. A line is never whole in memory: what is longer
// than a packet goes on as it is read.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "client/byte_input.h"
#include "client/source.h"

namespace cproto::client {

class LineSource final : public Source {
 public:
  // The lines of `input`, which is open. `path`, or "-" for standard input, is how it is known to people.
  LineSource(std::string path, std::unique_ptr<ByteInput> input) : path_(std::move(path)), input_(std::move(input)) {}

  Piece peek(std::size_t packet_size) override;
  void take(std::size_t bytes, bool is_complete) override;
  ByteView lines_at_hand() const override;
  void take_lines(std::uint64_t lines, std::size_t bytes) override;
  void skip() override;
  void stop() override { is_stopped_ = true; }
  // The rest of a line is being thrown away.
  bool is_skipping() const { return is_skipping_; }
  // The input begins where an earlier run stood: inside a line, or between two.
  void go_on(bool is_in_line) { is_in_line_ = is_in_line; }
  // Nothing can be read.
  void fail(Problem problem) { failure_ = std::move(problem); }
  bool has_failed() const { return failure_ || has_failed_; }
  bool is_drained() override { return !input_->is_stream() || (input_->data().empty() && !is_in_line_); }
  std::string name(std::uint64_t number) const override { return "line " + grouped(number); }
  Noun noun() const override { return {"line", "lines"}; }
  bool is_lost_by_giving_up() const override { return path_ == "-" || input_->is_stream(); }
  bool holds_writer() const override { return input_->has_writer(); }

 private:
  // The next LF in what was read, as a place in it.
  std::optional<std::size_t> find_line_feed();
  ByteInput::Got read_on();
  bool has_rest() const { return is_in_line_ || !input_->data().empty(); }
  // Nothing is left of the file that ended: the next read is of the one that follows.
  void cross_boundary();
  Piece last_piece();
  // What a file holds is not lost by leaving it there; what came through a pipe is.
  bool is_over() const { return has_failed_ || (is_stopped_ && !input_->is_stream()); }
  // Throws away to the end of the line. Nothing if it was found; else why it was not.
  std::optional<Piece> drop_line();
  Piece failed();

  std::string path_;
  std::unique_ptr<ByteInput> input_;
  std::size_t searched_ = 0;        // bytes at the front of the input known to have no LF
  bool gave_last_ = false;          // the piece last given ends its line
  bool ends_at_line_feed_ = false;  // and an LF follows it
  bool is_in_line_ = false;         // part of this line was given
  bool is_skipping_ = false;
  bool is_at_boundary_ = false;  // the input has said so, and the rest before it is not taken yet
  bool is_stopped_ = false;
  bool has_failed_ = false;
  std::optional<Problem> failure_;
};

}  // namespace cproto::client
