// SIGINT, SIGTERM and SIGHUP as calls from the loop. One that was ignored when the program started (nohup, a background
// job) stays ignored.
#pragma once

#include <functional>
#include <vector>

#include "client/loop.h"

namespace cproto::client {

class Signals {
 public:
  Signals(uv_loop_t* loop, std::function<void(int)> on_signal);
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  std::function<void(int)> on_signal_;
  std::vector<Handle<uv_signal_t>> handles_;
};

// A closed pipe is an error of the write, not of the program.
void ignore_broken_pipes();
// Ends the process as this signal does on its own.
[[noreturn]] void die_of(int signal);
// "SIGTERM".
const char* signal_name(int signal);

}  // namespace cproto::client
