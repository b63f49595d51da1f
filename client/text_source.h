// Messages that were given as arguments.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "client/source.h"

namespace cproto::client {

class TextSource final : public Source {
 public:
  explicit TextSource(std::vector<std::string> texts) : texts_(std::move(texts)) {}

  Piece peek(std::size_t packet_size) override;
  void take(std::size_t bytes, bool is_complete) override;
  void skip() override;
  void stop() override { texts_.resize(index_ + (taken_ > 0 ? 1 : 0)); }
  bool is_drained() override { return index_ == texts_.size(); }
  std::string name(std::uint64_t number) const override { return "message " + grouped(number); }
  Noun noun() const override { return {"message", "messages"}; }
  std::optional<std::uint64_t> total() const override { return total_; }

 private:
  std::vector<std::string> texts_;
  std::size_t total_ = texts_.size();
  std::size_t index_ = 0;
  std::size_t taken_ = 0;  // bytes of the text under way
};

}  // namespace cproto::client
