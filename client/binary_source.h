// Each file a message of bytes, read when its turn comes. One that is missing or unreadable is named, and the others go
// on.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/machine.h"
#include "client/source.h"

namespace cproto::client {

class BinarySource final : public Source {
 public:
  BinarySource(Machine& machine, std::vector<std::string> paths, std::function<void()> wake)
      : paths_(std::move(paths)), input_(machine.make_stream(std::move(wake))) {}

  Piece peek(std::size_t packet_size) override;
  void take(std::size_t bytes, bool is_complete) override;
  void skip() override;
  void stop() override { is_stopped_ = true; }
  bool is_drained() override { return is_stopped_ || index_ == paths_.size(); }
  std::string name(std::uint64_t number) const override;
  Noun noun() const override { return {"message", "messages"}; }
  std::optional<std::uint64_t> total() const override { return paths_.size(); }
  bool is_lost_by_giving_up() const override;
  bool holds_writer() const override { return input_->is_open() && input_->has_writer(); }

 private:
  std::vector<std::string> paths_;
  std::unique_ptr<Stream> input_;
  std::size_t index_ = 0;
  bool gave_last_ = false;  // the piece last given ends its message
  bool is_stopped_ = false;
};

}  // namespace cproto::client
