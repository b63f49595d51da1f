// The machine, as libuv and POSIX have it.
#pragma once

#include "client/loop.h"
#include "client/machine.h"
#include "client/posix_files.h"

namespace cproto::client {

class UvMachine final : public Machine {
 public:
  // `loop` outlives it.
  explicit UvMachine(uv_loop_t* loop) : loop_(loop) {}

  Files& files() override { return files_; }
  Instant now() const override { return client::now(); }
  // On libuv's pool.
  void run_aside(std::function<void()> work, std::function<void()> done) override;
  std::unique_ptr<LogWatch> watch_log(Duration poll, std::function<void()> wake) override;
  std::unique_ptr<Stream> make_stream(std::function<void()> wake) override;

 private:
  uv_loop_t* loop_;
  PosixFiles files_;
};

}  // namespace cproto::client
