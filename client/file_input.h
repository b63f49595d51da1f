// A regular file from front to end, whose place can be remembered.
#pragma once

#include <string>

#include "client/log_file.h"
#include "client/noting_files.h"
#include "client/placed_input.h"
#include "client/read_buffer.h"

namespace cproto::client {

class FileInput final : public PlacedInput {
 public:
  explicit FileInput(Files& files) : files_(files) {}

  // Returns 0 or errno.
  [[nodiscard]] int open(const std::string& path) { return file_.open(files_, path); }

  int begin() override { return 0; }
  Bytes place() const override;
  std::uint64_t generation() const override { return 0; }
  // The same file, which at most grew.
  int knows(ByteView place, bool& is_known) const override;
  int resume(ByteView place, std::uint64_t behind) override;

  Got fill() override;
  int error() const override { return error_; }
  ByteView data() const override { return buffer_.data(); }
  void consume(std::size_t bytes) override { buffer_.consume(bytes); }
  bool is_stream() const override { return false; }
  bool has_writer() const override { return false; }

 private:
  NotingFiles files_;
  LogFile file_;
  ReadBuffer buffer_;
  int error_ = 0;
};

}  // namespace cproto::client
