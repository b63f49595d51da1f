#include "client/shipper.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace cproto::client {

// A file of so many bytes is announced and waits to be taken, so that one that cannot be is told before its first byte.
constexpr std::uint64_t kAskFirst = 8u << 20;

namespace {

// It becomes a frame.
bool takes_room(Piece::Kind kind) {
  switch (kind) {
    case Piece::Kind::part:
    case Piece::Kind::header:
    case Piece::Kind::digest:
    case Piece::Kind::restart: return true;
    case Piece::Kind::wait:
    case Piece::Kind::broken:
    case Piece::Kind::end: break;
  }
  return false;
}

}  // namespace

bool Shipper::pump() {
  bool moved = false;
  while (session_.can_send()) {
    if (!must_abandon_ && hold_until_ > session_.sender().durable_through()) return moved;
    const Piece piece = source_.peek(session_.max_packet_size());
    if (piece.kind == Piece::Kind::broken && source_.is_cut_short() && can_pause()) {
      stop();
      tell(piece.problem);
      continue;
    }
    const bool pauses = piece.kind == Piece::Kind::end && will_pause();
    // Until the source has passed over the rest, no bookmark could say where it goes on behind the message.
    if (must_abandon_ && piece.kind == Piece::Kind::wait) return moved;
    auto place = source_.take_bookmark();
    // One that says so stands behind the message in the session, too: a later run would take the next for this one.
    if (must_abandon_ && (place || !pauses)) {
      abandon();
      must_abandon_ = is_refused_ = false;
      moved = true;
    }
    note_bookmark(std::move(place));
    if (bookmarks_.is_full() || (takes_room(piece.kind) && !session_.can_send())) return moved;
    switch (piece.kind) {
      case Piece::Kind::wait: return moved;
      case Piece::Kind::part:
        push(piece);
        push_lines();
        break;
      case Piece::Kind::broken: drop(piece.problem); break;
      case Piece::Kind::header: begin(piece); break;
      case Piece::Kind::digest:
        session_.tell_digest(piece.digest);
        source_.take(0, false);
        break;
      case Piece::Kind::restart: restart(piece); break;
      case Piece::Kind::end: end(); break;
    }
    moved = true;
  }
  return moved;
}

void Shipper::begin(const Piece& piece) {
  if (file_size_max_ > 0 && piece.header.file.size > file_size_max_) return refuse_here();
  note_message();
  is_file_ = true;
  session_.begin(piece.header);
  source_.take(0, false);
  begun_.push_back({source_.name(tally_.read + 1), piece.header.file.size, session_.sender().pushed_bytes()});
  if (piece.header.file.size >= kAskFirst) hold_until_ = session_.sender().last_pushed();
}

// The message under way is given up. A bookmark follows in the same step: by its count alone a later run would be led
// elsewhere.
void Shipper::abandon() {
  session_.abandon();
  if (!is_refused_) abandoned_.push_back(session_.sender().last_pushed());
  message_bytes_ = 0;
  is_detour_ = true;
}

// The message under way is given up, and its source gives it once more.
void Shipper::restart(const Piece& piece) {
  abandon();
  source_.take(0, false);
  note_bookmark(source_.take_bookmark());
  if (!piece.problem.sentence.empty()) listener_.on_note(piece.problem.sentence);
}

// A later run goes on with what is begun.
bool Shipper::can_pause() const { return on_bookmark_ && source_.can_continue(); }
bool Shipper::will_pause() const { return is_stopped_ && can_pause(); }

void Shipper::end() {
  if (will_pause()) return session_.close(Disconnect::End::pause);
  must_abandon_ = session_.in_message();
  if (!must_abandon_) session_.close(Disconnect::End::finish);
}

void Shipper::stop() {
  is_stopped_ = true;
  source_.stop();
}

void Shipper::note_bookmark(std::optional<Bytes> place) {
  if (!place || !on_bookmark_) return;
  const Sender& sender = session_.sender();
  bookmarks_.note({sender.pushed_messages(), sender.pushed_bytes(), std::move(*place)});
  on_bookmark_(std::exchange(is_detour_, false));
}

void Shipper::note_message() {
  message_first_ = session_.sender().last_pushed().next();
  is_file_ = false;
  map_.forget_through(session_.sender().durable_through());
  map_.note(message_first_, tally_.read + 1);
}

void Shipper::push(const Piece& piece) {
  const std::uint64_t size_max = session_.in_message() && is_file_ ? file_size_max_ : message_size_max_;
  if (size_max > 0 && message_bytes_ + piece.bytes.size() > size_max) return refuse_here();
  if (!session_.in_message()) note_message();
  const ClientSession::Sent sent = session_.send(piece.bytes, piece.is_last);
  source_.take(sent.bytes, sent.is_complete);
  message_bytes_ += sent.bytes;
  if (!sent.is_complete || !piece.is_last) return;
  message_bytes_ = 0;
  ++tally_.read;
}

// The lines that were read together with the one just pushed, as far as each becomes one frame and the server takes it.
// There may be a million a second: nothing is done for each but to find its end and to hand it over.
void Shipper::push_lines() {
  if (session_.in_message() || !session_.can_send()) return;
  const ByteView lines = source_.lines_at_hand();
  std::uint64_t size_max = session_.max_packet_size();
  if (message_size_max_ > 0) size_max = std::min(size_max, message_size_max_);
  std::uint64_t count = 0;
  std::size_t used = 0;
  while (used < lines.size() && session_.can_send()) {
    const ByteView rest = lines.subspan(used);
    const void* line_feed = std::memchr(rest.data(), '\n', rest.size());
    if (line_feed == nullptr) break;
    const auto size = static_cast<std::size_t>(static_cast<const std::uint8_t*>(line_feed) - rest.data());
    if (size > size_max) break;
    if (count++ == 0) note_message();  // one frame each: the map needs no more
    (void)session_.send(rest.first(size), true);
    used += size + 1;
  }
  if (count == 0) return;
  message_first_ = session_.sender().last_pushed();
  tally_.read += count;
  source_.take_lines(count, used);
}

// Too large for the server: given up while it is read, without being kept.
void Shipper::refuse_here() {
  leave_message();
  count_refused(++tally_.read, reason_of(ErrorCode::message_too_large, {}));
}

void Shipper::drop(const Problem& problem) {
  leave_message();
  ++tally_.read;
  tell(problem);
}

void Shipper::tell(const Problem& problem) {
  tally_.problems.push_back(problem);
  listener_.on_problem(problem);
}

void Shipper::leave_message() {
  must_abandon_ = session_.in_message();
  message_bytes_ = 0;
  is_detour_ = true;
  source_.skip();
}

void Shipper::on_terms(const SynAck& terms) {
  // Another server's smaller packets: what waits was cut anew, and its numbers with it.
  if (std::exchange(packet_size_, terms.max_packet_size) != terms.max_packet_size) map_ = {};
  message_size_max_ = terms.message_size_max;
  file_size_max_ = terms.file_size_max;
  if (std::exchange(must_resume_, false)) resume(terms);
  on_acked({session_.sender().durable_through(), session_.sender().durable_messages()});
}

void Shipper::restore(std::deque<Bookmark> bookmarks, std::vector<Problem> problems) {
  must_resume_ = true;
  bookmarks_.restore(std::move(bookmarks));
  tally_.problems = std::move(problems);
}

// The source goes to where the session stands: of one begun anew, to where it stood before the first message.
void Shipper::resume(const SynAck& terms) {
  Progressed progressed{terms.durable_messages, terms.durable_bytes, {}};
  bookmarks_.forget_behind(progressed.messages, progressed.bytes);
  if (terms.unfinished) progressed.message_bytes = terms.unfinished->durable_bytes;
  const Bookmark* mark = bookmarks_.find(progressed.messages, progressed.bytes);
  const Source::Resumed resumed = source_.resume(mark != nullptr ? *mark : Bookmark{}, progressed);
  tally_.read = resumed.messages;
  bytes_before_ = terms.durable_bytes;
  // The problems may count the message under way.
  const std::uint64_t ended_or_left = terms.durable_messages + tally_.problems.size();
  ended_here_ = ended_or_left - std::min(ended_or_left, resumed.messages);
  if (terms.unfinished) {
    message_first_ = terms.unfinished->first;
    message_bytes_ = terms.unfinished->durable_bytes;
    is_file_ = terms.unfinished->kind == MessageKind::file;
    map_.note(message_first_, tally_.read + 1);
    if (is_file_) begun_.push_back({source_.name(tally_.read + 1), resumed.size, terms.durable_bytes - message_bytes_});
  }
  // Its sender has heard that it is refused: it is not begun anew.
  if (is_file_ && was_refused_before(terms)) return leave_refused();
  if (!resumed.sentence.empty()) listener_.on_note(resumed.sentence);
}

// The message under way, in an earlier run. What is refused in these terms comes as an event of its own.
bool Shipper::was_refused_before(const SynAck& terms) const {
  const auto is_this = [this](const Refusal& refusal) { return refusal.first == message_first_; };
  return terms.unfinished && session_.offer().refusals_heard == message_first_ &&
         std::none_of(terms.refusals.begin(), terms.refusals.end(), is_this);
}

void Shipper::on_acked(const client_event::Acked& acked) {
  for (; !abandoned_.empty() && abandoned_.front() <= acked.durable_through; abandoned_.pop_front()) ++ended_here_;
  // A refusal may be told before the end of its message is durable: never more than is true.
  tally_.durable = acked.durable_messages - std::min(acked.durable_messages, ended_here_);
  const std::uint64_t bytes = session_.sender().durable_bytes();
  tally_.durable_bytes = bytes - bytes_before_;
  bookmarks_.forget_before(acked.durable_messages, bytes);
  note_progress();
}

void Shipper::note_progress() {
  const std::uint64_t bytes = session_.sender().durable_bytes();
  while (begun_.size() > 1 && begun_[1].at <= bytes) begun_.pop_front();
  if (begun_.empty()) return;
  const Begun& file = begun_.front();
  const std::uint64_t done = bytes - std::min(bytes, file.at);
  tally_.current = {file.name, file.size, file.size ? std::min(done, *file.size) : done};
}

void Shipper::on_refused(const client_event::Refused& refused) {
  ++ended_here_;
  const Refusal& refusal = refused.refusal;
  count_refused(map_.find(refusal.first).value_or(0), reason_of(refusal.code, refused.sentence));
  if (!session_.in_message() || must_abandon_ || refusal.first != message_first_) return;
  leave_refused();
}

// What is left of the message under way would be thrown away.
void Shipper::leave_refused() {
  leave_message();
  is_refused_ = true;
  ++tally_.read;
  hold_until_ = {};
}

void Shipper::count_refused(std::uint64_t ordinal, std::string reason) {
  ++tally_.refused;
  const std::string name = ordinal > 0 ? source_.name(ordinal) : "an earlier message";
  Tally::Refused entry{name, std::move(reason)};
  if (tally_.refused_named.size() < kNamedMax) tally_.refused_named.push_back(entry);
  listener_.on_refused(entry);
}

std::string Shipper::reason_of(ErrorCode code, const std::string& sentence) const {
  const std::uint64_t size_max = session_.offer().kind == MessageKind::file ? file_size_max_ : message_size_max_;
  if (code == ErrorCode::message_too_large && size_max > 0) return "larger than " + human_bytes(size_max);
  if (!sentence.empty()) return printable(sentence);
  const ErrorEntry* entry = find_error(code);
  return entry != nullptr ? std::string(entry->sentence) : error_name(code);
}

bool Shipper::is_settled() const {
  const Sender& sender = session_.sender();
  return sender.last_pushed() == sender.durable_through() && source_.is_drained() && !session_.in_message();
}

}  // namespace cproto::client
