// Each entry of systemd's journal a message: a line of JSON, as the reader gives it. It never ends by itself: behind
// the newest entry it waits for the next. Where it stands is the cursor of an entry: a bookmark is that, and the
// entries behind it are counted.
//
// Happy path: begin() or resume() -> peek() -> part, take() … -> wait, `wake` -> peek() …
// Failure modes: an entry that cannot be read is broken, and skip() goes on behind it. A journal that cannot be read
// any more is broken, and then there is nothing. The file where it stands is removed: `on_gap`, and it goes on with the
// first entry that is left; where that is found only by a later run, what followed the last bookmark is sent again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "client/journal_reader.h"
#include "client/loop.h"
#include "client/options.h"
#include "client/source.h"

namespace cproto::client {

class JournalSource final : public Source {
 public:
  // `reader` is open. `wake` is called from the loop when there may be more after a wait; `on_gap` from within peek()
  // and resume() when entries before the next one may have been removed before they were read. `from_end`: begin() is
  // behind the newest entry.
  JournalSource(uv_loop_t* loop, std::unique_ptr<JournalReader> reader, bool from_end, std::function<Instant()> now,
                std::function<void()> wake, std::function<void()> on_gap);
  JournalSource(const JournalSource&) = delete;
  JournalSource& operator=(const JournalSource&) = delete;

  // The whole rest of an entry is one part, whatever the packet: it is in memory anyway.
  Piece peek(std::size_t packet_size) override;
  void take(std::size_t bytes, bool is_complete) override;
  void skip() override;
  // An entry that was begun is still given to its end; the journal keeps the others.
  void stop() override;
  bool is_drained() override { return taken_ == 0; }
  std::optional<Bytes> take_bookmark() override;
  std::optional<Problem> begin() override;
  // An entry of which a part has arrived is given once more.
  Resumed resume(const Bookmark& bookmark, const Progressed& progressed) override;
  bool can_continue() const override { return true; }
  bool is_cut_short() const override { return failure_.has_value(); }
  std::string name(std::uint64_t number) const override { return "entry " + grouped(number); }
  Noun noun() const override { return {"entry", "entries"}; }
  // The journal forgets the oldest.
  bool is_lost_by_giving_up() const override { return true; }

 private:
  // What came of the last attempt to have an entry.
  enum class Held { none, entry, unreadable };
  // The entry behind which it stands:
  enum class Standing {
    sure,     // is there
    unsure,   // was, before files were moved
    missing,  // is not, for a moment now
    removed,  // is not, and will not come back
    told,     // the same, and the owner knows
  };

  // Behind the `skip`-th entry after the one with this cursor; 0: directly behind it. Where that one is gone, nobody
  // knows which of the `skip` are, too: none is passed over, and it goes on with the first there is behind its place.
  // Returns whether all of them were there.
  bool go_on(const std::string& cursor, std::uint64_t skip);
  void watch(uv_loop_t* loop);
  void unwatch();
  static void on_readable(uv_poll_t* poll, int status, int events);
  void process();
  void arm_timer();
  void lose_patience();
  void wake();
  // Goes back to where it stood, after files were moved. False: not yet, or failed.
  bool find_place();
  Piece wait();
  Piece fail();
  // Of what the reader failed with last.
  Problem problem(const char* what) const;
  void leave_entry();

  std::unique_ptr<JournalReader> reader_;
  bool from_end_;
  std::function<Instant()> now_;
  std::function<void()> wake_;
  std::function<void()> on_gap_;
  Timer timer_;
  Timer patience_;          // with an entry that is missing
  Handle<uv_poll_t> poll_;  // closed before the descriptor is
  JournalEntry entry_;
  Held held_ = Held::none;
  std::size_t taken_ = 0;      // bytes of the entry
  std::string cursor_behind_;  // of the entry behind which it stands; empty: of none yet
  Standing standing_ = Standing::sure;
  bool is_waiting_ = false;
  bool is_stopped_ = false;
  bool has_failed_ = false;
  bool must_restart_ = false;
  std::uint64_t entries_before_ = 0;  // the one under way
  std::uint64_t since_mark_ = 0;      // entries taken
  bool must_mark_ = true;
  Instant marked_at_{};
  std::optional<Problem> failure_;
};

// The source the options ask for, which is the journal; or why there is none. As make_source().
std::variant<std::unique_ptr<Source>, Problem> make_journal_source(uv_loop_t* loop, const Options& options,
                                                                   std::function<void()> wake, LogListener& listener);

}  // namespace cproto::client
