#include "client/uv_log_watch.h"

#include <filesystem>

namespace cproto::client {

UvLogWatch::UvLogWatch(uv_loop_t* loop, Duration poll, std::function<void()> wake)
    : loop_(loop), poll_(poll), wake_(std::move(wake)), timer_(loop, [this] { fire(); }) {}

void UvLogWatch::arm(const std::string& path, bool with_others) {
  const std::filesystem::path file = path;
  const std::string directory = file.has_parent_path() ? file.parent_path() : ".";
  name_ = file.filename();
  with_others_ = with_others;
  is_armed_ = true;
  if (events_ == nullptr || directory != directory_) watch(directory);
  timer_.arm(poll_);
}

void UvLogWatch::watch(const std::string& directory) {
  directory_ = directory;
  events_.reset(new uv_fs_event_t);
  uv_fs_event_init(loop_, events_.get());
  events_->data = this;
  if (uv_fs_event_start(events_.get(), on_event, directory.c_str(), 0) != 0) events_.reset();  // with the next poll
}

void UvLogWatch::on_event(uv_fs_event_t* events, const char* name, int, int) {
  auto* self = static_cast<UvLogWatch*>(events->data);
  if (self == nullptr || !self->is_armed_) return;
  if (self->with_others_ || name == nullptr || self->name_ == name) self->fire();
}

// The wake may be the end of us.
void UvLogWatch::fire() {
  is_armed_ = false;
  timer_.stop();
  const std::function<void()> wake = wake_;
  wake();
}

}  // namespace cproto::client
