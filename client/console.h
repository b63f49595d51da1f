// Standard error, and standard output for --json and --check. Nothing here ever ends a transfer: a stream that is
// closed or full takes no more, and that is all.
#pragma once

#include <string>
#include <string_view>

#include "client/progress.h"

namespace cproto::client {

class Console final : public Screen {
 public:
  // How wide a line of progress may be; 0: standard error is no terminal.
  explicit Console(unsigned columns) : columns_(columns) {}
  ~Console() override { Console::show(""); }
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  bool is_terminal() const override { return columns_ > 0; }
  // With the program's name before it.
  void say(std::string_view line) override;
  // Text as it is, to standard error.
  void raw(std::string_view text);
  void show(std::string_view line) override;
  // To standard output, as it is.
  static void print(std::string_view text);

 private:
  unsigned columns_;
  std::string shown_;
};

}  // namespace cproto::client
