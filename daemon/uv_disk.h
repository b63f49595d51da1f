// The disk as it is: jobs run on libuv's thread pool, `done` on the loop's thread.
#pragma once

#include <uv.h>

#include <cstddef>
#include <functional>

#include "daemon/disk.h"

namespace cproto {

class UvDisk final : public Disk {
 public:
  // `after_job` is called on the loop's thread when a job's `done` has returned.
  UvDisk(uv_loop_t* loop, std::function<void()> after_job) : loop_(loop), after_job_(std::move(after_job)) {}

  JobResult run(Job& job) override;
  void submit(Job job, std::function<void(JobResult)> done) override;
  // Waits for the jobs under way. Nobody hears of them, and what is submitted from now on is not done.
  void end();

 private:
  struct Work;
  uv_loop_t* loop_;
  std::function<void()> after_job_;
  std::size_t jobs_ = 0;  // under way
  bool is_over_ = false;
};

// Runs the operations in order up to the first that fails. Blocks; on any thread.
JobResult run_file_operations(Job& job);

}  // namespace cproto
