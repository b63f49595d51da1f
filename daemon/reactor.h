// The loop: time, deadlines, and what happens once a turn. One thread; everything else of the daemon runs in its
// callbacks.
#pragma once

#include <uv.h>

#include <functional>
#include <set>
#include <utility>

#include "proto/time.h"

namespace cproto {

// Somebody who wants to be called at a time. One libuv timer serves all of them.
class Timed {
 public:
  virtual ~Timed() = default;
  virtual void on_deadline() = 0;

 private:
  friend class Deadlines;
  Instant wanted_ = kNever;
  Instant scheduled_ =
      kNever;  // the place in the set; never later than wanted_, so that moving a deadline back is free
};

class Deadlines {
 public:
  explicit Deadlines(uv_loop_t* loop);
  void set(Timed& who, Instant at);
  void remove(Timed& who);
  // Closes the timer; the loop can end.
  void close();

 private:
  void schedule(Timed& who, Instant at);
  void arm();
  void fire();

  uv_timer_t timer_{};
  std::set<std::pair<Instant, Timed*>> scheduled_;
  Instant armed_ = kNever;
};

class Reactor {
 public:
  Reactor();
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  uv_loop_t* loop() { return &loop_; }
  // Monotonic; the same for all of one callback.
  Instant now();
  Deadlines& deadlines() { return deadlines_; }

  // Called once behind each round of input, whatever came in it.
  void set_after_round(std::function<void()> after_round) { after_round_ = std::move(after_round); }
  // Runs until stop().
  void run();
  void stop() { uv_stop(&loop_); }

 private:
  uv_loop_t loop_{};
  Deadlines deadlines_;
  uv_check_t check_{};
  std::function<void()> after_round_;
};

}  // namespace cproto
