// Virtual time: what is to happen and when. Things due at the same instant happen in the order they were asked for.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "proto/time.h"

namespace cproto::sim {

class Scheduler {
 public:
  Instant now() const { return now_; }

  void at(Instant when, std::function<void()> action) {
    heap_.push_back({std::max(when, now_), next_order_++, std::move(action)});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  void after(Duration delay, std::function<void()> action) { at(now_ + delay, std::move(action)); }

  // Does the next thing that is due by `end`. False if there is none; then it is `end`.
  bool step(Instant end) {
    if (heap_.empty() || heap_.front().when > end) {
      now_ = std::max(now_, end);
      return false;
    }
    std::pop_heap(heap_.begin(), heap_.end(), later);
    Item item = std::move(heap_.back());
    heap_.pop_back();
    now_ = item.when;
    item.action();
    return true;
  }

 private:
  struct Item {
    Instant when;
    std::uint64_t order = 0;
    std::function<void()> action;
  };
  static bool later(const Item& a, const Item& b) { return std::pair(a.when, a.order) > std::pair(b.when, b.order); }

  Instant now_{};
  std::uint64_t next_order_ = 0;
  std::vector<Item> heap_;
};

// One deadline that moves: wakes once for the earliest it had, and goes to sleep again if that is past.
class Alarm {
 public:
  Alarm(Scheduler& scheduler, std::function<void()> due) : scheduler_(scheduler), due_(std::move(due)) {}

  void set(Instant deadline) {
    deadline_ = deadline;
    if (deadline == kNever || deadline >= wakes_at_) return;
    wakes_at_ = deadline;
    scheduler_.at(deadline, [this, alive = alive_, deadline] {
      if (*alive) wake(deadline);
    });
  }
  ~Alarm() { *alive_ = false; }
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

 private:
  void wake(Instant at) {
    if (wakes_at_ == at) wakes_at_ = kNever;
    if (deadline_ > scheduler_.now()) return set(deadline_);
    deadline_ = kNever;
    due_();
  }

  Scheduler& scheduler_;
  std::function<void()> due_;
  Instant deadline_ = kNever;
  Instant wakes_at_ = kNever;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace cproto::sim
