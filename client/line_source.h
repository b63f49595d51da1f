// Each line of a file or of standard input a message: cut at LF, everything else kept, and a last line without LF
// counts. A line is never whole in memory: what is longer than a packet goes on as it is read.
#pragma once

#include <string>
#include <utility>

#include "client/input.h"
#include "client/source.h"

namespace cproto::client {

class LineSource final : public Source {
 public:
  LineSource(uv_loop_t* loop, std::string path, std::function<void()> wake)
      : path_(std::move(path)), input_(loop, std::move(wake)) {}
  // Returns 0 or errno.
  [[nodiscard]] int open() { return input_.open(path_); }

  Piece peek(std::size_t packet_size) override;
  void take(std::size_t bytes, bool is_complete) override;
  void skip() override;
  void stop() override { is_stopped_ = true; }
  bool is_drained() override { return !input_.is_stream() || (input_.data().empty() && !is_in_line_); }
  std::string name(std::uint64_t number) const override { return "line " + grouped(number); }
  Noun noun() const override { return {"line", "lines"}; }
  bool is_lost_by_giving_up() const override { return path_ == "-" || input_.is_stream(); }
  bool holds_writer() const override { return input_.has_writer(); }

 private:
  // The next LF in what was read, as a place in it.
  std::optional<std::size_t> find_line_feed();
  Input::Got read_on();
  Piece last_piece();
  // Throws away to the end of the line. Nothing if it was found; else why it was not.
  std::optional<Piece> drop_line();
  Piece failed();

  std::string path_;
  Input input_;
  std::size_t searched_ = 0;        // bytes at the front of the input known to have no LF
  bool gave_last_ = false;          // the piece last given ends its line
  bool ends_at_line_feed_ = false;  // and an LF follows it
  bool is_in_line_ = false;         // part of this line was given
  bool is_skipping_ = false;
  bool is_stopped_ = false;
  bool has_failed_ = false;
};

}  // namespace cproto::client
