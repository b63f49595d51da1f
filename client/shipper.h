// Moves messages from a source into a session as long as there is room, and keeps count: which were refused, here or by
// the server, and which are durable. Knows no connection; says what happened through Report.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/bookmarks.h"
#include "client/message_map.h"
#include "client/source.h"
#include "client/tally.h"
#include "proto/client_session.h"

namespace cproto::client {

class Shipper {
 public:
  // What is to be said at once.
  class Listener {
   public:
    virtual void on_refused(const Tally::Refused& refused) = 0;
    virtual void on_problem(const Problem& problem) = 0;
    // For people; nothing is wrong.
    virtual void on_note(const std::string& sentence) = 0;

   protected:
    ~Listener() = default;
  };

  // There is another bookmark, which is to be remembered before anything more goes out. `must_last`: also through a
  // power cut, for the one before would lead elsewhere.
  using OnBookmark = std::function<void(bool must_last)>;

  // `on_bookmark` is empty where nothing is remembered.
  Shipper(ClientSession& session, Source& source, Tally& tally, Listener& listener, OnBookmark on_bookmark)
      : session_(session), source_(source), tally_(tally), listener_(listener), on_bookmark_(std::move(on_bookmark)) {}

  // Where the source begins is remembered, whether a server is reached or not.
  void note_start() { note_bookmark(source_.take_bookmark()); }
  // Goes on with what an earlier run left. Call before the first on_terms().
  void restore(std::deque<Bookmark> bookmarks, std::vector<Problem> problems);

  // Hands over what there is room for, and closes the session behind the last message. Says whether anything moved.
  bool pump();

  // The events of the session that concern messages.
  void on_terms(const SynAck& terms);
  void on_acked(const client_event::Acked& acked);
  void on_refused(const client_event::Refused& refused);

  // Reads no further; what was read goes out and the session is closed, or paused where a later run can go on with it.
  void stop();
  const Bookmarks& bookmarks() const { return bookmarks_; }
  // Everything handed over is durable, and nothing was read that is still to be.
  bool is_settled() const;

 private:
  void begin(const Piece& piece);
  void push(const Piece& piece);
  void push_lines();
  void restart(const Piece& piece);
  void abandon();
  bool can_pause() const;
  bool will_pause() const;
  void end();
  void note_message();
  void note_progress();
  void note_bookmark(std::optional<Bytes> place);
  void resume(const SynAck& terms);
  bool was_refused_before(const SynAck& terms) const;
  void refuse_here();
  void drop(const Problem& problem);
  void tell(const Problem& problem);
  void leave_message();
  void leave_refused();
  void count_refused(std::uint64_t ordinal, std::string reason);
  std::string reason_of(ErrorCode code, const std::string& sentence) const;

  ClientSession& session_;
  Source& source_;
  Tally& tally_;
  Listener& listener_;
  OnBookmark on_bookmark_;
  MessageMap map_;
  Bookmarks bookmarks_;
  // Files that were begun and are not durable yet, and where in the session's payload their bytes begin.
  struct Begun {
    std::string name;
    std::optional<std::uint64_t> size;
    std::uint64_t at = 0;
  };
  std::deque<Begun> begun_;
  std::deque<Seq> abandoned_;  // ends of messages given up, not yet durable
  std::uint32_t packet_size_ = 0;
  std::uint64_t message_size_max_ = 0;
  std::uint64_t message_bytes_ = 0;  // of the message under way
  std::uint64_t ended_here_ = 0;     // messages given up or refused by the server, by now durable
  std::uint64_t file_size_max_ = 0;
  std::uint64_t bytes_before_ = 0;  // of the session, durable before this run
  Seq message_first_;               // of the message under way
  bool is_file_ = false;            // the message under way
  Seq hold_until_;                  // nothing goes out before this is durable
  bool must_abandon_ = false;
  // The source is not where the session's count alone would lead, or no bookmark says yet where it began.
  bool is_detour_ = true;
  bool is_refused_ = false;  // what is to be abandoned was refused by the server
  bool is_stopped_ = false;
  bool must_resume_ = false;
};

}  // namespace cproto::client
