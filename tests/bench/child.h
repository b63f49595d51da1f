// A program that runs beside us, and ends with us.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace cproto::bench {

// The folder this program is in, where the others are, too.
std::string own_folder();

class Child {
 public:
  // Its output goes to the end of `log`. nullptr with errno set if it cannot be begun.
  static std::unique_ptr<Child> start(const std::vector<std::string>& command, const std::string& log);
  // What `work` does, in a process of its own, whose exit status it returns.
  static std::unique_ptr<Child> start(const std::function<int()>& work);
  // Told to end (SIGTERM), and killed if it does not; waited for.
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  bool has_ended();
  // At once (SIGKILL), as in a crash.
  void kill();
  // Until it ends by itself. Its exit status; of one that a signal ended, 128 and the signal.
  int wait();

 private:
  explicit Child(pid_t pid) : pid_(pid) {}

  pid_t pid_;
  bool is_reaped_ = false;
  int status_ = 0;
};

}  // namespace cproto::bench
