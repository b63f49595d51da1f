// Where messages come from, a piece at a time. Knows nothing of sessions: what a piece becomes on the wire, and whether
// it is too large for the server, is decided by who asks (Shipper).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "client/options.h"
#include "client/status.h"
#include "client/wording.h"
#include "proto/bytes.h"
#include "proto/digest.h"
#include "proto/message.h"

namespace cproto::client {

class LogListener;
class Machine;

struct Problem {
  Status status = Status::ok;
  std::string sentence;  // without the program's name
};

struct Piece {
  enum class Kind {
    part,     // `bytes` of the message under way
    wait,     // nothing at hand; `wake` will be called
    end,      // there are no more messages; one begun and not ended is not to be ended
    broken,   // this message cannot be read, because of `problem`; skip() it
    header,   // `header` says what the next message is. Taken as it is: take(0, false)
    digest,   // `digest` is what the bytes of the file under way come to; the same
    restart,  // the message under way comes again from its beginning, because of `problem`; the same
  };
  Kind kind = Kind::end;
  ByteView bytes;  // until the next peek()
  bool is_last = false;
  Problem problem;
  MessageHeader header{};
  Digest digest{};
};

// Where a source went on from when this point of the session had been handed over: behind so many messages and payload
// bytes. `place` is the source's own and says it in words of its own.
struct Bookmark {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  Bytes place;
};

// A session that goes on: what it has come to, as the server says.
struct Progressed {
  std::uint64_t messages = 0;                  // ended
  std::uint64_t bytes = 0;                     // payload
  std::optional<std::uint64_t> message_bytes;  // of a message begun and not ended: payload of its FRAGMENTs
};

class Source {
 public:
  virtual ~Source() = default;

  // What comes next. A part that is not the last is a multiple of `packet_size`.
  virtual Piece peek(std::size_t packet_size) = 0;
  // So much of the last piece is used; `is_complete`: all of it, and with a last part the message.
  virtual void take(std::size_t bytes, bool is_complete) = 0;
  // More that was read together with the message taken last: whole messages, each with an LF behind it that is not of
  // it. No bookmark is due between them, nor is anything else to be told, so many may be taken at once. What is behind
  // the last LF, and anything where this is empty, comes with peek(). Until then, as the bytes of a piece.
  virtual ByteView lines_at_hand() const { return {}; }
  // So many of them are used, all of each, in so many bytes with their LFs.
  virtual void take_lines(std::uint64_t /*lines*/, std::size_t /*bytes*/) {}
  // The rest of the message under way, or of the one that could not be read, is not wanted.
  virtual void skip() = 0;
  // Reads no further. What was read and would be lost is still given.
  virtual void stop() = 0;
  // After stop(): nothing is left to give.
  virtual bool is_drained() = 0;

  // --- going on after the program was restarted ---
  // What is to be remembered of the place where it stands now: behind all that was taken, and at no other. nullopt:
  // nothing that could not be told from the bookmark before. Asked after every
  // peek(), of the place in front of that piece.
  virtual std::optional<Bytes> take_bookmark() { return std::nullopt; }
  // Before the first peek(): goes on where the session stands, which is at this bookmark or behind it. Returns how many
  // of its messages lie before; a sentence, if there is one, is for people.
  struct Resumed {
    std::uint64_t messages = 0;
    std::string sentence;
    std::optional<std::uint64_t> size{};  // of the file that goes on
  };
  virtual Resumed resume(const Bookmark&, const Progressed&) { return {}; }
  // Whether what an earlier run left at this bookmark is still what it was. Returns errno where that cannot be told.
  [[nodiscard]] virtual int knows(const Bookmark&, bool& is_known) const {
    is_known = true;
    return 0;
  }
  // Where there is nothing to go on with: begins at the beginning. Returns why it cannot.
  virtual std::optional<Problem> begin() { return std::nullopt; }
  // What stop() leaves is sent when the same command is run again: nothing that was begun is to be given up.
  virtual bool can_continue() const { return false; }
  // It cannot be read any more, which is the broken piece that peek() gives: a later run may go on with the rest.
  virtual bool is_cut_short() const { return false; }

  // How people know the message with this number (the first is 1): "line 81,004".
  virtual std::string name(std::uint64_t number) const = 0;
  virtual Noun noun() const = 0;
  // How many messages there are, where that is known.
  virtual std::optional<std::uint64_t> total() const { return std::nullopt; }
  // Giving up would lose what was or is to be read.
  virtual bool is_lost_by_giving_up() const { return false; }
  // A program may be held that writes to us.
  virtual bool holds_writer() const { return false; }
};

// The source the options ask for; or why there is none. `wake` is called when a piece may be there after a wait.
// `listener` hears what of a followed log is lost. Pre: not the journal, which only a loop of libuv can wait for
// (make_journal_source()).
std::variant<std::unique_ptr<Source>, Problem> make_source(Machine& machine, const Options& options,
                                                           std::function<void()> wake, LogListener& listener);

// Why reading `path` ("-" for standard input) failed with `error`.
Problem cannot_read(const std::string& path, int error, bool midway);

}  // namespace cproto::client
