// The loop: time, deadlines, and what happens once a turn. One thread; everything else of the daemon runs in its
// callbacks.
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "proto/time.h"

namespace cproto {

// Somebody who wants to be called at a time. One libuv timer serves all of them.
class Timed {
 public:
  virtual ~Timed() = default;
  virtual void on_deadline() = 0;

 private:
  friend class Deadlines;
  static constexpr std::size_t kNowhere = ~std::size_t{0};
  Instant wanted_ = kNever;
  std::size_t place_ = kNowhere;  // in the heap
};

class Deadlines {
 public:
  explicit Deadlines(uv_loop_t* loop);
  void set(Timed& who, Instant at);
  void remove(Timed& who);
  // Closes the timer; the loop can end.
  void close();

 private:
  // `at` is never later than what is wanted, so that moving a deadline back is free.
  struct Scheduled {
    Instant at;
    Timed* who = nullptr;
  };

  void schedule(Timed& who, Instant at);
  void unschedule(Timed& who);
  // The heap: nobody is due before its parent. Each moves what is to stand at `place` to where it belongs.
  void put(std::size_t place, const Scheduled& one);
  void rise(std::size_t place, const Scheduled& one);
  void sink(std::size_t place, const Scheduled& one);
  void arm();
  void fire();

  uv_timer_t timer_{};
  std::vector<Scheduled> scheduled_;
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

  // Rounds of input so far.
  std::uint64_t rounds() const { return rounds_; }
  // Called once behind each round of input, whatever came in it.
  void set_after_round(std::function<void()> after_round) { after_round_ = std::move(after_round); }
  // Runs until stop().
  void run();
  void stop() { uv_stop(&loop_); }

 private:
  uv_loop_t loop_{};
  Deadlines deadlines_;
  uv_check_t check_{};
  std::uint64_t rounds_ = 0;
  std::function<void()> after_round_;
};

}  // namespace cproto
