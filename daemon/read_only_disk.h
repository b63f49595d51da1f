// A disk of which nothing is changed: opens for reading, lists and reads; what would make or remove something is passed
// over, and anything else fails with EROFS. For looking at a store (verify.h).
#pragma once

#include "daemon/disk.h"

namespace cproto {

class ReadOnlyDisk final : public Disk {
 public:
  explicit ReadOnlyDisk(Disk& disk) : disk_(disk) {}
  JobResult run(Job& job) override;
  void submit(Job job, std::function<void(JobResult)> done) override;

 private:
  Disk& disk_;
};

}  // namespace cproto
