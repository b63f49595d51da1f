// Tells when a log may have changed: at once where its directory can be watched, and each poll in any case. Watching
// may be impossible: the limits of inotify, a file on another machine, a directory that is not there yet.
#pragma once

#include <functional>
#include <string>

#include "client/loop.h"
#include "client/machine.h"

namespace cproto::client {

class UvLogWatch final : public LogWatch {
 public:
  UvLogWatch(uv_loop_t* loop, Duration poll, std::function<void()> wake);

  void arm(const std::string& path, bool with_others) override;

 private:
  void watch(const std::string& directory);
  static void on_event(uv_fs_event_t* events, const char* name, int, int);
  void fire();

  uv_loop_t* loop_;
  Duration poll_;
  std::function<void()> wake_;
  Timer timer_;
  Handle<uv_fs_event_t> events_;
  std::string directory_;  // watched
  std::string name_;
  bool with_others_ = false;
  bool is_armed_ = false;
};

}  // namespace cproto::client
