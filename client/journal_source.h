// Each entry of systemd's journal a message: a line of JSON, as the reader gives it. It never ends by itself: behind
// the newest entry it waits for the next. Where it stands is the cursor of an entry; to keep that is the owner's
// business.
//
// Happy path: begin_from() or go_on() -> peek() -> part, take() … -> wait, `wake` -> peek() …
// Failure modes: an entry that cannot be read is broken, and skip() goes on behind it. A journal that cannot be read
// any more is broken, and then there is nothing. The file where it stands is removed: `on_gap`, and it goes on with the
// first entry that is left.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "client/journal_reader.h"
#include "client/loop.h"
#include "client/source.h"

namespace cproto::client {

class JournalSource final : public Source {
 public:
  // `reader` is open. `wake` is called from the loop when there may be more after a wait; `on_gap` from within peek()
  // when entries before the next one may have been removed before they were read.
  JournalSource(uv_loop_t* loop, std::unique_ptr<JournalReader> reader, std::function<void()> wake,
                std::function<void()> on_gap);
  JournalSource(const JournalSource&) = delete;
  JournalSource& operator=(const JournalSource&) = delete;

  // --- before the first peek(), one of these; without, it begins with the first entry ---
  // With the first entry the journal has; or behind its newest.
  [[nodiscard]] std::optional<Problem> begin_from(bool end);
  struct Place {
    bool is_there = false;      // the entry with the cursor. If not, entries may be missing: the owner tells of the gap
    std::uint64_t skipped = 0;  // entries behind it
  };
  // Behind the `skip`-th entry after the one with this cursor; 0: directly behind it. Where that one is gone, nobody
  // knows which of the `skip` are, too: none is passed over, and it goes on with the first there is behind its place.
  [[nodiscard]] std::variant<Place, Problem> go_on(const std::string& cursor, std::uint64_t skip);

  // The entry behind which it stands: of those taken whole or skipped, the last. Empty: of none yet. Lives until the
  // next take() or skip().
  const std::string& cursor_behind() const { return cursor_behind_; }

  // The whole rest of an entry is one part, whatever the packet: it is in memory anyway.
  Piece peek(std::size_t packet_size) override;
  void take(std::size_t bytes, bool is_complete) override;
  void skip() override;
  // An entry that was begun is still given to its end; the journal keeps the others.
  void stop() override;
  bool is_drained() override { return taken_ == 0; }
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
  std::function<void()> wake_;
  std::function<void()> on_gap_;
  Timer timer_;
  Timer patience_;          // with an entry that is missing
  Handle<uv_poll_t> poll_;  // closed before the descriptor is
  JournalEntry entry_;
  Held held_ = Held::none;
  std::size_t taken_ = 0;  // bytes of the entry
  std::string cursor_behind_;
  Standing standing_ = Standing::sure;
  bool is_waiting_ = false;
  bool is_stopped_ = false;
  bool has_failed_ = false;
  std::optional<Problem> failure_;
};

}  // namespace cproto::client
