#include "client/signals.h"

#include <csignal>
#include <cstdlib>

namespace cproto::client {

namespace {

bool is_ignored(int signal) {
  struct sigaction action {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

Signals::Signals(uv_loop_t* loop, std::function<void(int)> on_signal) : on_signal_(std::move(on_signal)) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    if (is_ignored(signal)) continue;
    auto& handle = handles_.emplace_back(new uv_signal_t);
    uv_signal_init(loop, handle.get());
    handle->data = this;
    uv_unref(as_handle(handle.get()));
    const auto on_caught = [](uv_signal_t* caught, int number) {
      if (caught->data != nullptr) static_cast<Signals*>(caught->data)->on_signal_(number);
    };
    uv_signal_start(handle.get(), on_caught, signal);
  }
}

void ignore_broken_pipes() { std::signal(SIGPIPE, SIG_IGN); }

void die_of(int signal) {
  std::signal(signal, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  std::raise(signal);
  std::_Exit(128 + signal);
}

const char* signal_name(int signal) {
  switch (signal) {
    case SIGINT: return "SIGINT";
    case SIGTERM: return "SIGTERM";
    case SIGHUP: return "SIGHUP";
    default: return "a signal";
  }
}

}  // namespace cproto::client
