// What a simulated cproto-send runs on: a disk in memory, virtual time, and pipes. One for each process: what was to
// happen in one that is gone does not.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/machine.h"
#include "proto/random.h"
#include "tests/simulation/scheduler.h"
#include "tests/support/memory_files.h"

namespace cproto::sim {

// What somebody writes into standard input.
struct Pipe {
  Bytes bytes;
  bool is_closed = false;
};

class ClientMachine final : public client::Machine {
 public:
  // Runs a step of the process.
  using Enter = std::function<void(const std::function<void()>&)>;

  // `sees_changes`: of logs, at once; else with the next poll. `stdin` is read as "-".
  ClientMachine(Scheduler& scheduler, Random& random, test::MemoryFiles& files, std::shared_ptr<Pipe> standard_input,
                bool sees_changes, Enter enter);
  ~ClientMachine() override { *is_alive_ = false; }
  ClientMachine(const ClientMachine&) = delete;
  ClientMachine& operator=(const ClientMachine&) = delete;

  // A log, or the pipe, has changed.
  void on_change();
  // A step of the process, then; none if it is gone by then.
  void later(Duration delay, std::function<void()> step);

  // --- Machine ---
  client::Files& files() override { return files_; }
  Instant now() const override { return scheduler_.now(); }
  void run_aside(std::function<void()> work, std::function<void()> done) override;
  std::unique_ptr<client::LogWatch> watch_log(Duration poll, std::function<void()> wake) override;
  std::unique_ptr<client::Stream> make_stream(std::function<void()> wake) override;

 private:
  class Watch;
  class PipeEnd;

  Scheduler& scheduler_;
  Random& random_;
  test::MemoryFiles& files_;
  std::shared_ptr<Pipe> pipe_;
  bool sees_changes_;
  Enter enter_;
  std::function<void()> on_log_;   // somebody waits for news of a log
  std::function<void()> on_pipe_;  // or of the pipe
  std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);
};

}  // namespace cproto::sim
