// A followed log as an input whose place can be remembered.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "client/followed_log.h"
#include "client/placed_input.h"

namespace cproto::client {

class FollowInput final : public PlacedInput {
 public:
  FollowInput(Machine& machine, const std::string& path, bool from_end, std::function<void()> wake,
              LogListener& listener)
      : log_(machine, path, std::move(wake), listener), from_end_(from_end) {}

  int begin() override { return log_.begin(from_end_); }
  Bytes place() const override {
    Bytes bytes;
    ByteWriter writer(bytes);
    put_place(writer, log_.place());
    return bytes;
  }
  std::uint64_t generation() const override { return log_.generation(); }
  // Whatever became of the log: what cannot be found again is told as lost.
  int knows(ByteView place, bool& is_known) const override {
    is_known = read(place).has_value();
    return 0;
  }
  int resume(ByteView place, std::uint64_t behind) override {
    LogPlace from = read(place).value_or(LogPlace{});
    from.offset += behind;
    return log_.resume(from);
  }

  Got fill() override { return log_.fill(); }
  int error() const override { return log_.error(); }
  ByteView data() const override { return log_.data(); }
  void consume(std::size_t bytes) override { log_.consume(bytes); }
  bool is_stream() const override { return false; }
  bool has_writer() const override { return false; }

 private:
  static std::optional<LogPlace> read(ByteView place) {
    ByteReader reader(place);
    const LogPlace read = get_place(reader);
    return reader.failed() ? std::nullopt : std::optional(read);
  }

  FollowedLog log_;
  bool from_end_;
};

}  // namespace cproto::client
