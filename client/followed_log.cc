#include "client/followed_log.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "client/wording.h"

namespace cproto::client {

namespace {

// The files of a log that are kept from being read twice. Rotations keep fewer; beyond that, their age tells.
constexpr std::size_t kKnownMax = 64;

}  // namespace

FollowedLog::FollowedLog(Machine& machine, std::string path, std::function<void()> wake, LogListener& listener,
                         FollowTimes times)
    : machine_(machine),
      files_(machine.files()),
      path_(std::move(path)),
      listener_(listener),
      times_(times),
      watch_(machine.watch_log(times.poll, std::move(wake))) {}

int FollowedLog::begin(bool from_end) {
  const int error = file_.open(files_, path_);
  // What is rotated until the log is seen was written after this moment.
  nowhere_.modified_ns = files_.clock_ns();
  if (error == ENOENT) return 0;
  if (error != 0) return error;
  file_.grew_at = machine_.now();
  return from_end ? file_.seek_last_line() : 0;
}

int FollowedLog::resume(const LogPlace& place) {
  if (const auto facts = files_.facts_of(path_))
    if (const int error = why_no_log(facts->mode)) return error;
  sought_ = place;
  // An owner that keeps count of the offset itself may have got further than the size was when it asked.
  sought_->size_seen = std::max(place.size_seen, place.offset);
  find_place();
  return 0;
}

// Finds the place to resume at. That it is gone is decided only when there is a log: until then its directory may not
// be mounted yet. Returns false if it is to be tried again.
bool FollowedLog::find_place() {
  const LogPlace place = *sought_;
  const FilePlace newer = place.next ? *place.next : place;
  const std::optional<FilePlace> older = place.next ? std::optional<FilePlace>(place) : place.previous;
  const std::uint64_t inodes[] = {newer.inode, older ? older->inode : 0};
  files_.forget();
  const std::optional<Family> family = find_family(files_, files_.follow_links(path_), inodes);
  if (!family) return false;
  file_ = newer.inode != 0 ? find_file(files_, *family, newer) : LogFile();
  file_.grew_at = machine_.now();
  if (older) previous_ = find_file(files_, *family, *older);
  const bool is_all = file_.is_open() && (!older || previous_.is_open());
  if (!is_all && find_family(files_, files_.follow_links(path_), inodes) != family) return false;  // renamed meanwhile
  if (!file_.is_open() && (!look_at_name() || is_unreadable(*family, newer))) return false;
  if (lacks_answers()) return false;
  sought_.reset();
  if (older) {
    if (previous_.place().inode != older->inode) previous_.close();  // to a copy, nobody writes late
    if (!previous_.is_open() && older->size_seen > older->offset) tell_gone(*family, *older, false);
  }
  nowhere_.modified_ns = newer.modified_ns;
  if (!file_.is_open() && newer.inode != 0) tell_gone(*family, newer, false);
  leave_if_refilled(newer);
  return true;
}

// The file is there, but may not be read now, or was renamed since it was listed.
bool FollowedLog::is_unreadable(const Family& family, const FilePlace& place) {
  for (const Relative& file : family) {
    LogFile opened;
    const int error = is_same(file.facts, place) ? open(files_, opened, file) : 0;
    if (error == 0) continue;
    if (error != ENOENT) tell_trouble(error);
    return true;
  }
  return false;
}

// A log that was empty may have been filled, copied and truncated since, several times, and its first bytes cannot
// tell. It is looked for as one that was not there: what is younger than it was comes first.
bool FollowedLog::leave_if_refilled(const FilePlace& before) {
  if (before.offset > 0 || before.fingerprint.bytes > 0) return false;
  const std::optional<FileFacts> named = files_.facts_of(path_);
  if (!named || !is_same(*named, before) || named->modified_ns == before.modified_ns) return false;
  nowhere_.modified_ns = before.modified_ns;
  file_.close();
  return true;
}

LogPlace FollowedLog::place() const {
  if (sought_) return *sought_;
  LogPlace place;
  static_cast<FilePlace&>(place) = file_.is_open() ? file_.place() : nowhere_;
  place.offset -= data().size();
  if (previous_.is_open()) (is_late_ ? place.next : place.previous) = previous_.place();
  return place;
}

void FollowedLog::consume(std::size_t bytes) {
  if (bytes > 0) is_at_line_start_ = data()[bytes - 1] == '\n';
  buffer_.consume(bytes);
}

ByteInput::Got FollowedLog::fill() {
  files_.forget();
  if (turn_ != Turn::none) {
    if (!data().empty()) return Got::boundary;
    take_turn();
  }
  if (sought_) {
    if (!find_place()) return wait();
    ++generation_;
  }
  return file_.is_open() ? read_on() : find_first();
}

// Looks at the file after reading it: if it is still the same then, what was read is its.
ByteInput::Got FollowedLog::read_on() {
  if (leave_if_refilled(file_.place())) return find_first();
  const std::ptrdiff_t size = file_.read(buffer_.room());
  if (size < 0) return try_again(errno);
  const std::uint32_t known_bytes = file_.place().fingerprint.bytes;
  const bool is_another = was_refilled() || !file_.look();
  // A place that was remembered before would not tell this file from the next one.
  if (file_.place().fingerprint.bytes > known_bytes) ++generation_;
  if (lacks_answers()) return wait();
  if (is_another) return truncated();
  if (size == 0) return at_end();
  told_trouble_ = 0;
  file_.advance(static_cast<std::size_t>(size));
  file_.grew_at = machine_.now();
  buffer_.add(static_cast<std::size_t>(size));
  return Got::some;
}

// Looks for what tells only where the first bytes do not.
bool FollowedLog::was_refilled() {
  const FilePlace& place = file_.place();
  if (is_late_ || place.fingerprint.bytes >= kFingerprintBytesMax) return false;
  const std::optional<FileFacts> named = files_.facts_of(path_);
  if (!named || !is_same(*named, place) || named->modified_ns == place.modified_ns) return false;
  const std::optional<Family> family = find_relatives();
  return family && is_refilled(files_, *family, file_, place);
}

ByteInput::Got FollowedLog::at_end() {
  if (file_.place().size_seen > file_.place().offset) return wait();  // grown since it was read
  if (is_late_) return is_between_lines() || is_quiet() ? say_boundary(Turn::back) : wait();
  if (is_at_line_start_ && previous_.has_grown()) {
    // A line that is not complete here comes again when we are back.
    file_.rewind(data().size());
    buffer_.clear();
    return say_boundary(Turn::late);
  }
  return follow_name();
}

// Is there another file in the log's place?
ByteInput::Got FollowedLog::follow_name() {
  const std::optional<FileFacts> named = look_at_name();
  if (!named || is_same(*named, file_.place())) {
    replaced_at_.reset();
    return wait();
  }
  if (!replaced_at_) replaced_at_ = machine_.now();
  const std::optional<Family> all = find_relatives();
  if (!all) return wait();
  const Relative left = current(*all);
  Family family = *all;
  leave_out_known(family);
  const Succession succession = find_next(Chronology(*all), family, left);
  if (succession.next == nullptr || !may_leave(succession.next->is_log)) return wait();
  const bool is_late = previous_.has_grown();  // the last chance
  if (lacks_answers()) return wait();
  if (is_late) return say_boundary(Turn::late);
  return open_next(succession, left, *all) ? say_boundary(Turn::next) : wait();
}

bool FollowedLog::is_quiet() const {
  return machine_.now() - std::max(file_.grew_at, replaced_at_.value_or(Instant{})) >= times_.quiet;
}

// The file being read has come to its end. `for_log`: it is left for the log itself.
bool FollowedLog::may_leave(bool for_log) const {
  // There is a newer one that was rotated, too: who wrote to this one has been told long ago, if its time says so.
  const bool is_aged = !for_log && files_.clock_ns() - file_.place().modified_ns >= times_.quiet.count();
  return file_.is_copy || is_aged || is_quiet() ||
         (is_between_lines() && machine_.now() - *replaced_at_ >= times_.patience);
}

ByteInput::Got FollowedLog::find_first() {
  const std::optional<Family> all = look_at_name() ? find_relatives() : std::nullopt;
  if (!all) return wait();
  Family family = *all;
  leave_out_known(family);
  // What was there before is not new, however late it is written to. Without a time nothing tells what was.
  std::erase_if(family, [since = nowhere_.modified_ns](const Relative& file) {
    return !file.is_log && (since == 0 || (file.facts.born_ns != 0 && file.facts.born_ns < since));
  });
  Relative left;
  left.facts.modified_ns = left.facts.born_ns = nowhere_.modified_ns;
  if (!open_next(find_next(Chronology(*all), family, left), left, *all)) return wait();
  file_ = std::move(next_);
  ++generation_;
  return read_on();
}

// What the list said must still be so once the file is open: the log may have been copied and truncated in between.
bool FollowedLog::open_next(const Succession& succession, const Relative& left, const Family& all) {
  if (succession.next == nullptr) return false;
  if (const int error = open(files_, next_, *succession.next)) {
    if (error != ENOENT) tell_trouble(error);  // else it was renamed meanwhile
    return false;
  }
  if (find_relatives() != all || lacks_answers()) {
    next_.close();
    return false;
  }
  told_trouble_ = 0;
  next_.grew_at = machine_.now();
  tell_skipped(succession, left, all);
  return true;
}

// What was read and not consumed is of what was there before, and a copy has the same at the same offset.
ByteInput::Got FollowedLog::truncated() {
  if (is_late_) {
    if (file_.place().size_seen > file_.place().offset)
      listener_.on_lost(at_least(printable(path_) + ": the rotated log was truncated before it was read",
                                 file_.place().size_seen - file_.place().offset));
    return say_boundary(Turn::back);
  }
  const std::optional<Family> all = find_relatives();
  if (!all) return wait();
  Family family = *all;
  leave_out_known(family);
  LogFile copy = find_file(files_, family, file_.place());
  if (lacks_answers()) return wait();
  if (!copy.is_open()) {
    if (find_relatives() != all) return wait();  // renamed meanwhile
    tell_gone(family, file_.place(), true);
    return say_boundary(Turn::restart);
  }
  file_ = std::move(copy);
  file_.grew_at = machine_.now();
  ++generation_;
  return read_on();
}

ByteInput::Got FollowedLog::wait() {
  const bool is_away = !file_.is_open() || is_late_ || replaced_at_.has_value();
  watch_->arm(files_.follow_links(path_), is_away);
  return Got::wait;
}

// A file that its server has taken from under us is looked for anew; for late bytes, as the one before the current one.
ByteInput::Got FollowedLog::try_again(int error) {
  tell_trouble(error);
  if (error != ESTALE) return wait();
  sought_ = place();
  buffer_.clear();
  file_.close();
  // A late line that was begun ends here: what is found next may be of another file.
  if (!std::exchange(is_late_, false) || std::exchange(is_at_line_start_, true)) return wait();
  return say_boundary(Turn::none);
}

bool FollowedLog::lacks_answers() {
  if (files_.trouble() == 0) return false;
  tell_trouble(files_.trouble());
  return true;
}

ByteInput::Got FollowedLog::say_boundary(Turn turn) {
  turn_ = turn;
  return Got::boundary;
}

void FollowedLog::take_turn() {
  switch (std::exchange(turn_, Turn::none)) {
    case Turn::none: return;
    case Turn::next:
      if (previous_.is_open()) remember(previous_.place());
      previous_ = std::move(file_);
      file_ = std::move(next_);
      replaced_at_.reset();
      break;
    case Turn::late:
    case Turn::back:
      std::swap(file_, previous_);
      is_late_ = !is_late_;
      if (!is_late_ && !previous_.look()) previous_.close();  // truncated: there is nothing to go on with
      break;
    case Turn::restart: file_.restart(); break;
  }
  is_at_line_start_ = true;
  ++generation_;
}

std::optional<FileFacts> FollowedLog::look_at_name() {
  const std::optional<FileFacts> named = files_.facts_of(path_);
  const int error = named ? why_no_log(named->mode) : errno;
  if (error == 0) return named;
  if (error != ENOENT) tell_trouble(error);
  return std::nullopt;
}

std::optional<Family> FollowedLog::find_relatives() const {
  const std::uint64_t inodes[] = {file_.place().inode};
  return find_family(files_, files_.follow_links(path_), inodes);
}

void FollowedLog::leave_out_known(Family& family) {
  std::erase_if(family, [this](const Relative& file) { return is_known(file); });
}

bool FollowedLog::is_known(const Relative& file) {
  for (const LogFile* open : {&file_, &previous_})
    if (open->is_open() && is_same(file.facts, open->place())) return true;
  return std::any_of(known_.begin(), known_.end(), [&](const FilePlace& place) {
    LogFile opened;
    // What was renamed since it was listed is the one we know.
    return is_same(file.facts, place) && (open(files_, opened, file) != 0 || opened.fits(place));
  });
}

Relative FollowedLog::current(const Family& family) const {
  for (const Relative& file : family)
    if (is_same(file.facts, file_.place()) && !file.is_log) return file;
  Relative removed;
  removed.facts = file_.facts();
  return removed;
}

void FollowedLog::tell_skipped(const Succession& succession, const Relative& left, const Family& all) {
  const bool is_gone = file_.is_open() && left.path.empty();
  const Relative* own = is_gone ? find_own_archive(all) : nullptr;
  if (is_gone && own == nullptr && !succession.next->is_log && begins_after(all, left))
    listener_.on_lost(lost_between(path_));
  for (const Relative* file : succession.lost) {
    if (own == nullptr || *file != *own) listener_.on_lost(lost_archive(files_, *file));
    remember(*file);
  }
  for (const Relative* file : succession.unclear) {
    if (file->facts.size > 0)
      listener_.on_lost({printable(file->path) + " is not read: it cannot be told whether that was done before", 0,
                         LostBytes::Amount::unknown});
    remember(*file);
  }
}

// Not every compressor keeps its time.
const Relative* FollowedLog::find_own_archive(const Family& all) {
  const Relative* archive = find_archive(all, file_.place());
  return archive != nullptr && uncompressed_size(files_, archive->path) == file_.place().size_seen ? archive : nullptr;
}

void FollowedLog::tell_gone(const Family& family, const FilePlace& place, bool was_truncated) {
  if (const Relative* archive = find_archive(family, place)) {
    remember(*archive);
    if (const auto lost = lost_rest(files_, *archive, place)) listener_.on_lost(*lost);
  } else if (!was_truncated) {
    listener_.on_lost(lost_file(path_, place));
  } else if (place.size_seen > place.offset) {
    listener_.on_lost(
        at_least(printable(path_) + " was truncated before it was read to its end", place.size_seen - place.offset));
  } else {
    listener_.on_note(printable(path_) + " was truncated; it is read from its start");
  }
}

void FollowedLog::tell_trouble(int error) {
  if (std::exchange(told_trouble_, error) == error) return;
  listener_.on_note(printable(path_) + ": " + std::strerror(error) + "; it is tried again");
}

// An empty file has nothing to be known again by; its inode may be another's tomorrow.
void FollowedLog::remember(const FilePlace& place) {
  if (place.fingerprint.bytes == 0) return;
  if (known_.size() == kKnownMax) known_.erase(known_.begin());
  known_.push_back(place);
}

void FollowedLog::remember(const Relative& file) {
  LogFile opened;
  if (opened.open(files_, file.path) == 0) remember(opened.place());
}

}  // namespace cproto::client
