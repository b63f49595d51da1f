#include "daemon/reactor.h"

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
  if (at < who.scheduled_) schedule(who, at);
}

void Deadlines::remove(Timed& who) {
  if (who.scheduled_ != kNever) scheduled_.erase({who.scheduled_, &who});
  who.wanted_ = who.scheduled_ = kNever;
}

void Deadlines::schedule(Timed& who, Instant at) {
  if (who.scheduled_ != kNever) scheduled_.erase({who.scheduled_, &who});
  who.scheduled_ = at;
  if (at != kNever) scheduled_.emplace(at, &who);
  arm();
}

void Deadlines::arm() {
  const Instant next = scheduled_.empty() ? kNever : scheduled_.begin()->first;
  if (next >= armed_ || next == kNever) return;
  armed_ = next;
  const auto start = [](uv_timer_t* timer) { static_cast<Deadlines*>(timer->data)->fire(); };
  uv_timer_start(&timer_, start, to_timer(next - loop_time(timer_.loop)), 0);
}

void Deadlines::fire() {
  armed_ = kNever;
  const Instant now = loop_time(timer_.loop);
  // Each once: somebody who asks for the past again waits for the next round of the loop, or nobody else would run.
  for (std::size_t due = scheduled_.size(); due > 0 && !scheduled_.empty() && scheduled_.begin()->first <= now; --due) {
    Timed& who = *scheduled_.begin()->second;
    scheduled_.erase(scheduled_.begin());
    who.scheduled_ = kNever;
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
    const auto* self = static_cast<Reactor*>(check->data);
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
