#include "client/file_source.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace cproto::client {

namespace {

// Smaller files are not worth a bookmark: what came of one is sent again.
constexpr std::uint64_t kMarkedSize = 1u << 20;

Problem no_file(const std::string& path, const char* what) {
  return {Status::no_input, printable(path) + ": is a " + what + "; what is sent are files, and pipes to their end"};
}

std::optional<Problem> judge(const std::string& path, unsigned mode) {
  if (S_ISDIR(mode))
    return Problem{Status::no_input, printable(path) + ": is a folder; send it with: tar cz " + printable(path) +
                                         " | cproto-send --as NAME.tgz -"};
  if (S_ISSOCK(mode)) return no_file(path, "socket");
  if (S_ISBLK(mode) || S_ISCHR(mode)) return no_file(path, "device");
  return std::nullopt;
}

// What has no size and bytes all the same, as files of /proc do, comes to its end like a pipe; so does one that cannot
// be read, which is told when it is.
bool has_bytes(const OpenFile& file) {
  std::uint8_t byte = 0;
  return file.read({&byte, 1}, 0) != 0;
}

}  // namespace

std::string base_name(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

// --- opening ---

std::optional<Problem> FileSource::open() {
  const std::string& path = file().path;
  if (path == "-") return open_stream();
  // Looked at before it is opened: opening can have effects of its own.
  std::optional<FileFacts> facts = disk_.facts_of(path);
  if (!facts) return cannot_read(path, errno, false);
  if (auto problem = judge(path, facts->mode)) return problem;
  if (!is_valid_file_name(file().name))
    return Problem{Status::data_error, printable(path) + ": not a name for a file; say another with --as NAME"};
  if (S_ISFIFO(facts->mode)) return open_stream();
  std::unique_ptr<OpenFile> opened;
  if (const int error = disk_.open(path, Files::Access::read, opened)) return cannot_read(path, error, false);
  facts = opened->facts();
  if (!facts) return cannot_read(path, errno, false);
  if (facts->size == 0 && has_bytes(*opened)) return open_stream();
  open_ = std::move(opened);
  identity_ = FileIdentity::of(*facts);
  mode_ = facts->mode & 0777;
  is_stream_ = false;
  step_ = Step::header;
  return std::nullopt;
}

std::optional<Problem> FileSource::open_stream() {
  if (const int error = stream_->open(file().path)) return cannot_read(file().path, error, false);
  streamed_ = FileDigest();
  is_stream_ = true;
  step_ = Step::header;
  return std::nullopt;
}

// --- what comes next ---

Piece FileSource::peek(std::size_t packet_size) {
  if (must_restart_) return {Piece::Kind::restart, {}, false, {Status::ok, restart_reason_}, {}, {}};
  if (is_stopped_ || index_ == files_.size()) return {};
  if (step_ == Step::closed) {
    if (auto problem = open()) return broken(std::move(*problem));
  }
  switch (step_) {
    case Step::closed: break;
    case Step::header: {
      FileDescription description{file().name, {}, {}, {}};
      if (!is_stream_) {
        description.size = identity_.size;
        description.mode = mode_;
        description.mtime = FileDescription::Time{identity_.mtime_seconds, identity_.mtime_nanoseconds};
      }
      return {Piece::Kind::header, {}, false, {}, {MessageKind::file, {}, description, {}}, {}};
    }
    case Step::bytes: return is_stream_ ? next_of_stream(packet_size) : next_bytes(packet_size);
    case Step::digest: {
      const Digest digest = is_stream_ ? streamed_.value() : reader_.digest();
      return {Piece::Kind::digest, {}, false, {}, {}, digest};
    }
    case Step::last: return {Piece::Kind::part, {}, true, {}, {}, {}};
  }
  return {};
}

Piece FileSource::next_bytes(std::size_t packet_size) {
  switch (reader_.next()) {
    case FileReader::Got::wait: return {Piece::Kind::wait, {}, false, {}, {}, {}};
    case FileReader::Got::some: return {Piece::Kind::part, reader_.data(), false, {}, {}, {}};
    case FileReader::Got::failed:
      if (reader_.error() != 0) return broken(cannot_read(file().path, reader_.error(), true));
      return broken({Status::data_error, printable(file().path) + ": became shorter while it was sent; not sent"});
    case FileReader::Got::end: break;
  }
  if (auto problem = change()) return broken(std::move(*problem));
  step_ = Step::digest;
  return peek(packet_size);
}

Piece FileSource::next_of_stream(std::size_t packet_size) {
  while (stream_->data().empty()) {
    switch (stream_->fill()) {
      case ByteInput::Got::some: break;
      case ByteInput::Got::wait: return {Piece::Kind::wait, {}, false, {}, {}, {}};
      case ByteInput::Got::boundary:
      case ByteInput::Got::end: step_ = Step::digest; return peek(packet_size);
      case ByteInput::Got::failed: return broken(cannot_read(file().path, stream_->error(), true));
    }
  }
  return {Piece::Kind::part, stream_->data(), false, {}, {}, {}};
}

// The file as it is now against what was announced of it.
std::optional<Problem> FileSource::change() const {
  const std::optional<FileFacts> facts = open_->facts();
  if (!facts) return cannot_read(file().path, errno, true);
  if (FileIdentity::of(*facts) == identity_) return std::nullopt;
  return Problem{Status::data_error, printable(file().path) + ": changed while it was sent; not sent"};
}

void FileSource::take(std::size_t bytes, bool) {
  if (must_restart_) {
    must_restart_ = false;
    must_mark_ = true;
    return;
  }
  switch (step_) {
    case Step::closed: return;
    case Step::header:
      step_ = Step::bytes;
      if (is_stream_) return;
      marked_pieces_ = 0;
      reader_.start(open_, identity_.size, {});
      must_mark_ = identity_.size >= kMarkedSize;
      return;
    case Step::bytes:
      if (is_stream_) {
        streamed_.update(stream_->data().first(bytes));
        stream_->consume(bytes);
      } else {
        reader_.consume(bytes);
        must_mark_ = must_mark_ || reader_.pieces() > marked_pieces_;
      }
      return;
    case Step::digest: step_ = Step::last; return;
    case Step::last: next_file(); return;
  }
}

void FileSource::skip() {
  must_restart_ = false;
  next_file();
  must_mark_ = true;  // that file took another number of messages than one, or none
}

void FileSource::next_file() {
  reader_.stop();
  stream_->close();
  open_.reset();
  step_ = Step::closed;
  ++index_;
}

// --- going on ---

bool FileSource::can_continue() const {
  return std::none_of(files_.begin(), files_.end(), [](const File& file) { return file.path == "-"; });
}

std::optional<Bytes> FileSource::take_bookmark() {
  if (!std::exchange(must_mark_, false)) return std::nullopt;
  FileBookmark place;
  place.index = static_cast<std::uint32_t>(index_);
  if (step_ > Step::header && !is_stream_) {
    place.identity = identity_;
    place.pieces = marked_pieces_ = reader_.pieces();
    place.chain = reader_.chain();
  }
  return encode(place);
}

Source::Resumed FileSource::resume(const Bookmark& bookmark, const Progressed& progressed) {
  const std::optional<FileBookmark> place = decode_file_bookmark(bookmark.place);
  const std::uint64_t ended = progressed.messages - bookmark.messages;
  index_ = std::min<std::size_t>(files_.size(), (place ? place->index : 0) + ended);
  Resumed resumed{index_, {}, {}};
  if (!progressed.message_bytes || index_ == files_.size()) {
    if (index_ > 0) resumed.sentence = "continuing after " + counted(index_, noun()) + " (--restart begins anew)";
    return resumed;
  }
  const std::uint64_t offset = *progressed.message_bytes;
  const std::string shown = printable(file().path);
  const bool is_same_file = place && ended == 0 && place->identity.inode != 0;
  const bool is_open = is_same_file && !open() && !is_stream_;
  if (is_open && identity_ == place->identity && offset >= place->pieces * kPieceSize && offset <= identity_.size) {
    step_ = Step::bytes;
    marked_pieces_ = place->pieces;
    reader_.start(open_, identity_.size, {offset, place->pieces, place->chain});
    resumed.size = identity_.size;
    resumed.sentence = "continuing " + shown + " after " + human_bytes(offset) + " (--restart begins anew)";
    return resumed;
  }
  open_.reset();
  step_ = Step::closed;
  must_restart_ = true;
  restart_reason_ = is_open ? shown + ": changed since it was interrupted; sent from its beginning" : "";
  return resumed;
}

std::string FileSource::name(std::uint64_t number) const {
  if (number > files_.size()) return "a file";  // no server that is right speaks of it
  const std::string& path = files_[number - 1].path;
  return path == "-" ? "standard input" : printable(path);
}

bool FileSource::is_lost_by_giving_up() const { return !can_continue(); }

}  // namespace cproto::client
