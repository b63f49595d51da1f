// What connections hand what they received to, and hear from when it is durable: the journal with its inbox
// (journal_store.h), or a stream of another system (stream_store.h). Those above know only this.
//
// Here is what both have: who has which session, what is in memory, and whom to tell.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/config.h"
#include "daemon/counters.h"
#include "daemon/journal_check.h"
#include "daemon/log.h"
#include "daemon/partial_frames.h"
#include "daemon/repeats.h"
#include "daemon/session_registry.h"
#include "daemon/space_watch.h"
#include "proto/server_session.h"
#include "proto/time.h"

namespace cproto {

class Details;
class Exposition;

// What a store needs of the world besides where it keeps things.
struct World {
  std::function<Instant()> now;
  std::function<Id128()> draw_id;                 // 128 random bits
  std::function<std::string()> time_of_day = {};  // "02:14", for people; empty: unknown
};

// In running time of the store; 0: never.
struct ForgetOptions {
  Duration unfinished_after{0};  // half-sent messages and files
  Duration session_after{0};
};

struct StoreOptions {
  std::string directory;
  std::string inbox;  // empty: "inbox" in the directory
  ExistingFile existing_file = ExistingFile::replace;
  std::uint64_t segment_size = 64u << 20;
  RegistryOptions registry;  // its store id is filled in
  SpaceLimits space;
  std::uint64_t memory = 256u << 20;  // bytes of what was received and is not on disk, about
  ForgetOptions forget;
  // Now and then while the store is opened: what of it is done, for people.
  std::function<void(const std::string&)> on_progress;
};

// Something that ought to move, for Health to watch.
struct Wait {
  std::string what;         // "fdatasync on /var/lib/cproto/journal"
  std::string consequence;  // "nothing is acknowledged until it does"
  std::string when_over;    // "/var/lib/cproto/journal answers again; senders go on"
  bool is_waiting = false;
  std::uint64_t moves = 0;  // another value: it has moved
};

class Store {
 public:
  using Admitted = std::variant<Admission, Error>;

  virtual ~Store() = default;

  // For everybody, and for sessions and files that come, from now on. Where things are stays as it is.
  virtual void set_options(const StoreOptions& options) = 0;

  // --- sessions ---
  // Decides on a SYN. On success the session is `holder`'s, and whoever had it has heard on_superseded(). nullopt: how
  // far the session got is being asked; `holder` hears on_admitted() unless it withdraws.
  virtual std::optional<Admitted> admit(const Syn& syn, SessionHolder& holder) = 0;
  virtual void withdraw(const SessionHolder&) {}
  // `holder`'s connection is gone.
  virtual void release(SessionEntry& entry, const SessionHolder& holder) = 0;
  // As SessionRegistry::use_channel.
  bool use_channel(SessionEntry& entry, const std::string& channel) { return registry_->use_channel(entry, channel); }
  // The session is finished and its client knows.
  virtual void forget(SessionEntry& entry) = 0;
  // Calls `each` with every session of the client, or the one with this short name; then it may be changed.
  void visit_sessions(const std::string& client_or_session, const std::function<void(SessionEntry&)>& each);

  // --- data: durable when the holder hears on_committed() ---
  virtual void append(SessionEntry& entry, const server_event::Received& run) = 0;
  virtual void append(SessionEntry& entry, const server_event::Skipped& skipped) = 0;
  // Whether files can be sent to it.
  virtual bool takes_files() const = 0;
  // Nothing of the session is missing where it belongs, as far as it was received and is durable.
  virtual bool is_delivered(const SessionEntry& entry) const = 0;
  // Its client is about to end, and may look for what it sent.
  virtual void hurry() {}
  // Bytes that may be read for now; 0: stop reading, and go on when on_room is called.
  virtual std::size_t room() const = 0;
  // The same of one session, or of a connection that has none yet (nullptr).
  virtual std::size_t room(const SessionEntry* entry) const = 0;
  // Called when room() has become more than 0 again.
  void set_on_room(std::function<void()> on_room) { on_room_ = std::move(on_room); }
  // Why nothing is acknowledged at the moment; nullptr if it is.
  virtual const Error* trouble() const = 0;
  virtual const Error* trouble(const SessionEntry& entry) const = 0;
  // Why nothing new is taken from this client although what was received becomes durable. nullptr if it is taken. Lives
  // until the next call.
  virtual const Error* no_room(const std::string& client) = 0;

  // --- the turn ---
  // Sends what was appended on its way. Call once a turn of the loop.
  virtual void flush() = 0;
  virtual void handle_timeout() = 0;
  virtual Instant next_deadline() const = 0;
  // Nothing is under way: everything appended is durable, and where it belongs.
  virtual bool is_at_rest() const = 0;
  // Wants to come to rest soon.
  virtual void settle() = 0;
  // Grows with whatever was done.
  virtual std::uint64_t moves() const = 0;

  // --- what an operator sees ---
  // Reads everything that is kept again, and says of each part that is damaged; `done` comes with how many were read.
  // False: there is nothing here to read.
  virtual bool verify(JournalCheck::Damage damage, JournalCheck::Done done) = 0;
  // There is something to watch.
  virtual bool is_busy() const = 0;
  // Always the same ones, in the same order; of two that do not move the last is spoken of.
  virtual std::vector<Wait> waits() const = 0;
  // Something is gathered and nothing is done about it.
  virtual bool is_idle_with_work() const { return false; }
  // What is wrong for everybody, or for new data only; nullptr: nothing.
  virtual const Error* worst_trouble() const = 0;
  virtual void add_details(Details& details, bool is_for_programs) const = 0;
  virtual void add_metrics(Exposition& out) const = 0;
  // Why connections are not read.
  virtual std::string why_held() const = 0;
  // Why what is durable is not where people look for it, of one client or of any (empty). Empty: it is.
  virtual std::string why_blocked(const std::string& client) const = 0;
  // "3 MiB to deliver"
  virtual std::string left_to_do() const = 0;
  // Behind a stop that did not wait for that.
  virtual std::string who_has_the_rest() const = 0;

  const StoreId& id() const { return registry_->store(); }
  // Frames of connections that are not whole.
  PartialFrames& partial_frames() { return partial_frames_; }
  const PartialFrames& partial_frames() const { return partial_frames_; }
  // A connection from there is sent away with its unfinished frame.
  void note_overload(const std::string& peer);
  // Bytes in memory of what was received.
  virtual std::uint64_t held_bytes() const = 0;
  std::uint64_t memory() const { return memory_; }
  const SessionRegistry& registry() const { return *registry_; }
  const StoreCounters& counters() const { return counters_; }

 protected:
  Store(const World& world, Log& log, std::uint64_t memory);

  void set_memory(std::uint64_t bytes);
  // A holder may let its session go when it hears of it: each is looked up again.
  void tell(const std::vector<SessionEntry*>& entries, const std::function<void(SessionHolder&)>& what);
  void tell_refusal(SessionEntry& entry, const Refusal& refusal);
  void say_there_is_room() {
    if (on_room_ && room() > 0) on_room_();
  }
  // Not to read is how memory is kept; for moments it happens all the time. Call once a turn of the loop.
  void watch_room();
  Instant next_held_deadline() const;
  void handle_held_timeout();

  World world_;
  Log& log_;
  std::unique_ptr<SessionRegistry> registry_;
  PartialFrames partial_frames_;
  StoreCounters counters_;

 private:
  std::function<void()> on_room_;
  std::uint64_t memory_;
  std::optional<Instant> held_since_;  // nobody is read
  bool was_held_said_ = false;         // of this time
  Repeats held_lines_;
  Repeats overload_lines_;
};

}  // namespace cproto
