#include "client/journal_source.h"

#include <cstring>
#include <utility>

namespace cproto::client {

// A file that is rotated has for a moment no name that we know: neither the old one, nor yet the new one.
constexpr Duration kRotation = 200ms;

JournalSource::JournalSource(uv_loop_t* loop, std::unique_ptr<JournalReader> reader, std::function<void()> wake,
                             std::function<void()> on_gap)
    : reader_(std::move(reader)),
      wake_(std::move(wake)),
      on_gap_(std::move(on_gap)),
      timer_(loop, [this] { process(); }),
      patience_(loop, [this] { lose_patience(); }) {
  watch(loop);
  arm_timer();
}

// All the time and not only during a wait: far behind in the journal there is no wait, and the files that are rotated
// away meanwhile would stay open, and on disk.
void JournalSource::watch(uv_loop_t* loop) {
  poll_.reset(new uv_poll_t);
  if (const int error = uv_poll_init(loop, poll_.get(), reader_->fd())) {
    delete poll_.release();
    failure_ = Problem{Status::os_error, std::string("the journal cannot be watched: ") + uv_strerror(error)};
    return;
  }
  poll_->data = this;
  uv_poll_start(poll_.get(), UV_READABLE, on_readable);
}

void JournalSource::unwatch() {
  timer_.stop();
  patience_.stop();
  if (poll_ != nullptr) uv_poll_stop(poll_.get());
}

void JournalSource::on_readable(uv_poll_t* poll, int, int) {
  if (poll->data != nullptr) static_cast<JournalSource*>(poll->data)->process();
}

void JournalSource::process() {
  const JournalReader::News news = reader_->process();
  arm_timer();
  switch (news) {
    case JournalReader::News::none: return;
    case JournalReader::News::changed: break;
    case JournalReader::News::moved:
      if (standing_ == Standing::sure) standing_ = Standing::unsure;
      break;
    case JournalReader::News::failed:
      failure_ = problem("the journal");
      unwatch();
      break;
  }
  wake();
}

void JournalSource::arm_timer() {
  if (const auto timeout = reader_->timeout()) timer_.arm(*timeout);
}

void JournalSource::lose_patience() {
  if (standing_ == Standing::missing) standing_ = Standing::removed;
  wake();
}

// It may be the end of us.
void JournalSource::wake() {
  if (!std::exchange(is_waiting_, false)) return;
  const std::function<void()> wake = wake_;
  wake();
}

std::optional<Problem> JournalSource::begin_from(bool end) {
  if (!(end ? reader_->seek_tail() : reader_->seek_head())) return problem("the journal");
  if (end) cursor_behind_ = reader_->cursor();
  return std::nullopt;
}

std::variant<JournalSource::Place, Problem> JournalSource::go_on(const std::string& cursor, std::uint64_t skip) {
  const JournalReader::Sought sought = reader_->seek_cursor(cursor);
  if (sought == JournalReader::Sought::failed) return problem("the journal");
  cursor_behind_ = cursor;
  if (sought == JournalReader::Sought::gone) {
    standing_ = Standing::told;
    return Place{};
  }
  const std::optional<std::uint64_t> skipped = reader_->skip(skip);
  if (!skipped) return problem("the journal");
  if (*skipped > 0) cursor_behind_ = reader_->cursor();
  return Place{true, *skipped};
}

Piece JournalSource::peek(std::size_t) {
  is_waiting_ = false;
  if (is_stopped_ && taken_ == 0) return {};
  if (held_ == Held::none) {
    if (failure_) return fail();
    if (!find_place()) return failure_ ? fail() : wait();
    switch (reader_->next(entry_)) {
      case JournalReader::Got::entry: held_ = Held::entry; break;
      case JournalReader::Got::unreadable: held_ = Held::unreadable; break;
      case JournalReader::Got::none: return wait();
      case JournalReader::Got::failed: failure_ = problem("the journal"); return fail();
    }
  }
  if (held_ == Held::unreadable) return {Piece::Kind::broken, {}, false, problem("an entry of the journal")};
  return {Piece::Kind::part, as_bytes(entry_.line).subspan(taken_), true, {}};
}

bool JournalSource::find_place() {
  if (standing_ == Standing::sure || standing_ == Standing::told || cursor_behind_.empty()) return true;
  switch (reader_->seek_cursor(cursor_behind_)) {
    case JournalReader::Sought::there: standing_ = Standing::sure; return true;
    case JournalReader::Sought::failed: failure_ = problem("the journal"); return false;
    case JournalReader::Sought::gone: break;
  }
  if (standing_ == Standing::removed) {
    standing_ = Standing::told;
    on_gap_();
    return true;
  }
  if (std::exchange(standing_, Standing::missing) == Standing::unsure) patience_.arm(kRotation);
  return false;
}

Piece JournalSource::wait() {
  is_waiting_ = true;
  return {Piece::Kind::wait, {}, false, {}};
}

// Once told, it is the end.
Piece JournalSource::fail() {
  if (std::exchange(has_failed_, true)) return {};
  return {Piece::Kind::broken, {}, false, *failure_};
}

Problem JournalSource::problem(const char* what) const {
  return {Status::io_error, std::string(what) + " cannot be read: " + std::strerror(reader_->error())};
}

void JournalSource::take(std::size_t bytes, bool is_complete) {
  taken_ += bytes;
  if (is_complete) leave_entry();
}

void JournalSource::skip() { leave_entry(); }

void JournalSource::leave_entry() {
  if (held_ != Held::none && !entry_.cursor.empty()) {
    std::swap(cursor_behind_, entry_.cursor);
    // Behind an entry that is there. Files may have moved since it was read.
    if (standing_ == Standing::told) standing_ = Standing::unsure;
  }
  if (entry_.line.capacity() > kKeptBytes) entry_.line = {};
  held_ = Held::none;
  taken_ = 0;
}

void JournalSource::stop() {
  is_stopped_ = true;
  unwatch();
}

}  // namespace cproto::client
