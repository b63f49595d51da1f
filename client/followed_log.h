// The bytes of a log that grows and is rotated, as one stream: like `tail -F`, but losing nothing and repeating
// nothing, also over restarts of this program. What cannot be read any more is told.
//
// Happy path: begin() or resume(), fill() -> some, …, wait; the log is renamed and a new one made; the old one is read
// to its end, and left once it has been quiet: boundary; then the new one from its start.
//
// Otherwise:
// - The log is not there (yet): waited for.
// - A writer has not heard of the rotation and writes to the old file after we left it: boundary, the late bytes,
//   boundary, and on in the new file. Only the file before the current one is looked at.
// - The log was copied and truncated: the rest is read from the copy, then the log from its start. Without a copy, what
//   we knew of and had not read is lost.
// - Rotated several times, live or while this program was down: every uncompressed file since, in order. Those that
//   were compressed or removed meanwhile are lost.
// - A log cannot be read, or the disk does not say what is there: told, and tried again with each poll.
// - Neither the file of the place to resume at nor a log is there: perhaps a disk is not mounted yet. Waited for.
//
// What cannot be seen: a log truncated and grown past our place again whose first bytes, as many as were known and 1024
// at most, are what they were, unless a copy goes on otherwise behind less than 1024; bytes written between our last
// look and a truncation, when no copy is left; rotated files in another directory than the log's (logrotate's olddir):
// what was not read before the move is told as lost, but not the files that came between.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/log_family.h"
#include "client/log_file.h"
#include "client/log_loss.h"
#include "client/machine.h"
#include "client/noting_files.h"
#include "client/read_buffer.h"

namespace cproto::client {

// Called from within fill() and resume().
class LogListener {
 public:
  virtual ~LogListener() = default;
  virtual void on_lost(const LostBytes& lost) = 0;
  virtual void on_note(const std::string& sentence) = 0;
};

struct FollowTimes {
  // A rotated log is left when it has not grown for so long. Daemons reopen their log within a second of being told.
  Duration quiet = 2s;
  // A rotated log that does not become quiet is left between two of its lines; what it gets after that is late.
  Duration patience = 30s;
  // Looked at so often, if nothing tells of a change.
  Duration poll = 1s;
};

class FollowedLog final : public ByteInput {
 public:
  // `wake` is called from the loop when there may be more after fill() has said wait; never from within fill().
  FollowedLog(Machine& machine, std::string path, std::function<void()> wake, LogListener& listener,
              FollowTimes times = {});

  // The first time: at the start of the log or, if it is there, behind its last line. Returns 0 or errno.
  [[nodiscard]] int begin(bool from_end);
  // Goes on at `place`, wherever that is now. Returns 0, or errno if the log's name is not a file's.
  [[nodiscard]] int resume(const LogPlace& place);

  // Of the first byte of data(). Also while waiting.
  LogPlace place() const;
  // Changes when place() has moved otherwise than by consume(): to another file, or to the front of the same. That is
  // only within fill(), which then has consumed all before, or it is a copy of the same bytes at the same offset. And
  // when more has become known of how the file begins, so that it is found again whatever becomes of it.
  // Between two changes the place of a byte taken earlier is place() with a smaller offset.
  std::uint64_t generation() const { return generation_; }

  Got fill() override;
  int error() const override { return 0; }
  ByteView data() const override { return buffer_.data(); }
  void consume(std::size_t bytes) override;
  bool is_stream() const override { return false; }
  bool has_writer() const override { return false; }

 private:
  // What follows a boundary, once what was before it is consumed.
  enum class Turn {
    none,
    next,     // next_, for good
    late,     // previous_ has grown after we left it
    back,     // from there
    restart,  // the front of the same file, which was truncated
  };

  bool find_place();
  bool is_unreadable(const Family& family, const FilePlace& place);
  bool leave_if_refilled(const FilePlace& before);
  bool was_refilled();
  Got read_on();
  Got find_first();
  Got at_end();
  Got follow_name();
  Got truncated();
  Got wait();
  Got try_again(int error);
  // Something of what was asked since the last files_.forget() has no answer: nothing may be decided by it.
  bool lacks_answers();
  Got say_boundary(Turn turn);
  void take_turn();

  bool is_between_lines() const { return is_at_line_start_ && data().empty(); }
  bool is_quiet() const;
  bool may_leave(bool for_log) const;
  // What has the log's name, if that is a log.
  std::optional<FileFacts> look_at_name();
  std::optional<Family> find_relatives() const;
  // The file being read as one of them.
  Relative current(const Family& family) const;
  // Those that are being read, were read, or were told not to be.
  void leave_out_known(Family& family);
  bool is_known(const Relative& file);
  // Opens what is next, and tells what cannot be read before it. Returns false if it is to be tried again.
  bool open_next(const Succession& succession, const Relative& left, const Family& all);
  void tell_skipped(const Succession& succession, const Relative& left, const Family& all);
  // The file being read, which was compressed since.
  const Relative* find_own_archive(const Family& all);
  void tell_gone(const Family& family, const FilePlace& place, bool was_truncated);
  // Once for each time it begins.
  void tell_trouble(int error);
  void remember(const FilePlace& place);
  void remember(const Relative& file);

  Machine& machine_;
  NotingFiles files_;
  std::string path_;
  LogListener& listener_;
  FollowTimes times_;
  std::unique_ptr<LogWatch> watch_;

  LogFile file_;                    // being read; not open until the log is there
  LogFile previous_;                // the one before it; while is_late_, the one to go back to
  LogFile next_;                    // while turn_ is next
  FilePlace nowhere_;               // while no file is open
  std::optional<LogPlace> sought_;  // to be resumed at, and not found yet
  bool is_late_ = false;
  Turn turn_ = Turn::none;
  std::optional<Instant> replaced_at_;  // another file was first seen in the log's place
  std::vector<FilePlace> known_;        // files not to be read again
  bool is_at_line_start_ = true;        // what was consumed last is an LF, or there is nothing before it
  std::uint64_t generation_ = 0;

  ReadBuffer buffer_;
  int told_trouble_ = 0;
};

}  // namespace cproto::client
