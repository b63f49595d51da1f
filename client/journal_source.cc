#include "client/journal_source.h"

#include <cstring>
#include <utility>

#include "client/followed_log.h"

namespace cproto::client {

// A file that is rotated has for a moment no name that we know: neither the old one, nor yet the new one.
constexpr Duration kRotation = 200ms;
// So many entries, at most, are counted again by a later run, or sent again if the journal was vacuumed meanwhile.
constexpr std::uint64_t kMarkAfter = 1000;
constexpr Duration kMarkAgain = 10s;

JournalSource::JournalSource(uv_loop_t* loop, std::unique_ptr<JournalReader> reader, bool from_end,
                             std::function<Instant()> now, std::function<void()> wake, std::function<void()> on_gap)
    : reader_(std::move(reader)),
      from_end_(from_end),
      now_(std::move(now)),
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

std::optional<Problem> JournalSource::begin() {
  if (from_end_) {
    const std::optional<std::string> newest = reader_->seek_tail();
    if (!newest) return problem("the journal");
    cursor_behind_ = *newest;
  } else if (!reader_->seek_head()) {
    return problem("the journal");
  }
  return std::nullopt;
}

// A place: u64 entries before it, u8: the cursor is that of the first entry behind it, and not of the last before it;
// the cursor.
std::optional<Bytes> JournalSource::take_bookmark() {
  const bool is_first = cursor_behind_.empty();
  if (taken_ > 0 || (is_first && held_ == Held::none)) return std::nullopt;
  const Instant now = now_();
  const bool is_late = since_mark_ >= kMarkAfter || is_stopped_ || now - marked_at_ >= kMarkAgain;
  if (!must_mark_ && (since_mark_ == 0 || !is_late)) return std::nullopt;
  must_mark_ = false;
  since_mark_ = 0;
  marked_at_ = now;
  Bytes place;
  ByteWriter writer(place);
  writer.u64(entries_before_);
  writer.u8(is_first ? 1 : 0);
  writer.bytes(as_bytes(is_first ? entry_.cursor : cursor_behind_));
  return place;
}

Source::Resumed JournalSource::resume(const Bookmark& bookmark, const Progressed& progressed) {
  must_restart_ = progressed.message_bytes.has_value();
  if (bookmark.place.empty()) {
    failure_ = begin();
    return {};
  }
  ByteReader place(bookmark.place);
  entries_before_ = place.u64();
  const bool is_first = place.u8() != 0;
  const std::string cursor(as_text(place.rest()));
  const std::uint64_t behind = progressed.messages - bookmark.messages;
  entries_before_ += behind;
  if (is_first && behind == 0) {
    const JournalReader::Sought first = reader_->seek_cursor(cursor);
    if (first == JournalReader::Sought::failed || !reader_->seek_head()) failure_ = problem("the journal");
    if (first == JournalReader::Sought::gone) on_gap_();
  } else if (!go_on(cursor, is_first ? behind - 1 : behind) && !failure_) {
    on_gap_();
  }
  return {entries_before_, {}};
}

bool JournalSource::go_on(const std::string& cursor, std::uint64_t skip) {
  cursor_behind_ = cursor;
  switch (reader_->seek_cursor(cursor)) {
    case JournalReader::Sought::there: break;
    case JournalReader::Sought::gone: standing_ = Standing::told; return false;
    case JournalReader::Sought::failed: failure_ = problem("the journal"); return false;
  }
  const std::optional<std::uint64_t> skipped = reader_->skip(skip);
  if (!skipped) failure_ = problem("the journal");
  if (skipped.value_or(0) > 0) cursor_behind_ = reader_->cursor();
  return skipped == skip;
}

Piece JournalSource::peek(std::size_t) {
  is_waiting_ = false;
  if (is_stopped_ && taken_ == 0) return {};
  if (must_restart_) return {Piece::Kind::restart, {}, false, {}};
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

// What was given up counts as a message of the session, but was no entry: so does one that is skipped, or neither.
void JournalSource::take(std::size_t bytes, bool is_complete) {
  if (std::exchange(must_restart_, false)) {
    must_mark_ = true;
    return;
  }
  taken_ += bytes;
  if (!is_complete) return;
  ++since_mark_;
  leave_entry();
}

void JournalSource::skip() {
  must_restart_ = false;
  must_mark_ = true;
  leave_entry();
}

void JournalSource::leave_entry() {
  ++entries_before_;
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

std::variant<std::unique_ptr<Source>, Problem> make_journal_source(uv_loop_t* loop, const Options& options,
                                                                   std::function<void()> wake, LogListener& listener) {
  auto reader = std::make_unique<JournalReader>();
  if (auto problem = reader->open(options.journal_directory, options.matches)) return *problem;
  return std::make_unique<JournalSource>(loop, std::move(reader), options.from_end, now, std::move(wake), [&listener] {
    listener.on_lost(
        {"entries of the journal were removed, perhaps before they were sent", 0, LostBytes::Amount::unknown});
  });
}

}  // namespace cproto::client
