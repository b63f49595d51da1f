// What every part of the client uses of libuv: the clock, owners for handles, and a timer.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <utility>

#include "proto/time.h"

namespace cproto::client {

inline Instant now() { return Instant(Duration(static_cast<std::int64_t>(uv_hrtime()))); }

template <class T>
uv_handle_t* as_handle(T* handle) {
  return reinterpret_cast<uv_handle_t*>(handle);
}

// A handle lives until libuv has let go of it, which is after its owner has.
template <class T>
struct HandleCloser {
  void operator()(T* handle) const {
    handle->data = nullptr;
    uv_close(as_handle(handle), [](uv_handle_t* closed) { delete reinterpret_cast<T*>(closed); });
  }
};
template <class T>
using Handle = std::unique_ptr<T, HandleCloser<T>>;

// Calls once, after a time. May be armed again at any moment, also from its own call.
class Timer {
 public:
  Timer(uv_loop_t* loop, std::function<void()> on_expired)
      : timer_(new uv_timer_t), on_expired_(std::move(on_expired)) {
    uv_timer_init(loop, timer_.get());
    timer_->data = this;
  }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Never early: rounded up to the millisecond.
  void arm(Duration after) {
    using Millis = std::chrono::milliseconds;
    const auto whole = after > 0ns ? std::chrono::ceil<Millis>(after).count() : 0;
    uv_update_time(timer_->loop);
    uv_timer_start(timer_.get(), on_timer, static_cast<std::uint64_t>(whole), 0);
  }
  void stop() { uv_timer_stop(timer_.get()); }

 private:
  static void on_timer(uv_timer_t* timer) {
    if (timer->data != nullptr) static_cast<Timer*>(timer->data)->on_expired_();
  }

  Handle<uv_timer_t> timer_;
  std::function<void()> on_expired_;
};

}  // namespace cproto::client
