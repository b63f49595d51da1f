#include "daemon/reactor.h"

#include <utility>

#include "proto/assert.h"

namespace cproto {

namespace {

uv_loop_t* initialised(uv_loop_t* loop) {
  CPROTO_ASSERT(uv_loop_init(loop) == 0);
  return loop;
}

Instant loop_time(const uv_loop_t* loop) { return Instant(std::chrono::milliseconds(uv_now(loop))); }

// A timer has milliseconds: rounded up, so that it is never early.
std::uint64_t to_timer(Duration duration) {
  if (duration <= Duration::zero()) return 0;
  return static_cast<std::uint64_t>(std::chrono::ceil<std::chrono::milliseconds>(duration).count());
}

}  // namespace

Deadlines::Deadlines(uv_loop_t* loop) {
  uv_timer_init(loop, &timer_);
  timer_.data = this;
}

void Deadlines::set(Timed& who, Instant at) {
  who.wanted_ = at;
  if (at < (who.place_ == Timed::kNowhere ? kNever : scheduled_[who.place_].at)) schedule(who, at);
}

void Deadlines::remove(Timed& who) {
  unschedule(who);
  who.wanted_ = kNever;
}

void Deadlines::schedule(Timed& who, Instant at) {
  if (who.place_ == Timed::kNowhere) {
    scheduled_.emplace_back();
    rise(scheduled_.size() - 1, {at, &who});
  } else {
    rise(who.place_, {at, &who});  // it only ever becomes earlier
  }
  arm();
}

// The last one fills the gap.
void Deadlines::unschedule(Timed& who) {
  const std::size_t place = std::exchange(who.place_, Timed::kNowhere);
  if (place == Timed::kNowhere) return;
  const Scheduled last = scheduled_.back();
  scheduled_.pop_back();
  if (last.who == &who) return;
  if (place > 0 && last.at < scheduled_[(place - 1) / 2].at)
    rise(place, last);
  else
    sink(place, last);
}

void Deadlines::put(std::size_t place, const Scheduled& one) {
  scheduled_[place] = one;
  one.who->place_ = place;
}

void Deadlines::rise(std::size_t place, const Scheduled& one) {
  for (std::size_t parent; place > 0 && one.at < scheduled_[parent = (place - 1) / 2].at; place = parent)
    put(place, scheduled_[parent]);
  put(place, one);
}

void Deadlines::sink(std::size_t place, const Scheduled& one) {
  while (2 * place + 1 < scheduled_.size()) {
    std::size_t child = 2 * place + 1;
    if (child + 1 < scheduled_.size() && scheduled_[child + 1].at < scheduled_[child].at) ++child;
    if (one.at <= scheduled_[child].at) break;
    put(place, scheduled_[child]);
    place = child;
  }
  put(place, one);
}

void Deadlines::arm() {
  const Instant next = scheduled_.empty() ? kNever : scheduled_.front().at;
  if (next >= armed_ || next == kNever) return;
  armed_ = next;
  const auto start = [](uv_timer_t* timer) { static_cast<Deadlines*>(timer->data)->fire(); };
  uv_timer_start(&timer_, start, to_timer(next - loop_time(timer_.loop)), 0);
}

void Deadlines::fire() {
  armed_ = kNever;
  const Instant now = loop_time(timer_.loop);
  // Each once: somebody who asks for the past again waits for the next round of the loop, or nobody else would run.
  for (std::size_t due = scheduled_.size(); due > 0 && !scheduled_.empty() && scheduled_.front().at <= now; --due) {
    Timed& who = *scheduled_.front().who;
    unschedule(who);
    if (who.wanted_ == kNever) continue;
    if (who.wanted_ > now) {
      schedule(who, who.wanted_);
    } else {
      who.wanted_ = kNever;
      who.on_deadline();
    }
  }
  arm();
}

void Deadlines::close() {
  if (!uv_is_closing(reinterpret_cast<uv_handle_t*>(&timer_)))
    uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr);
}

Reactor::Reactor() : deadlines_(initialised(&loop_)) {
  uv_check_init(&loop_, &check_);
  check_.data = this;
  uv_check_start(&check_, [](uv_check_t* check) {
    auto* self = static_cast<Reactor*>(check->data);
    ++self->rounds_;
    if (self->after_round_) self->after_round_();
  });
}

Reactor::~Reactor() {
  deadlines_.close();
  uv_close(reinterpret_cast<uv_handle_t*>(&check_), nullptr);
  uv_run(&loop_, UV_RUN_DEFAULT);
  uv_loop_close(&loop_);
}

Instant Reactor::now() { return loop_time(&loop_); }

void Reactor::run() { uv_run(&loop_, UV_RUN_DEFAULT); }

}  // namespace cproto
