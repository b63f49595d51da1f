// The store that is a stream of another system (STREAM.md): nothing is kept here. A session's messages are published to
// its subject, packed, one publication at a time, and durable when the stream says it has them.
//
// Happy path: append… -> flush: publish -> on_stored -> on_committed -> the next pack.
// A resume: the stream is asked for the last message of the session's subject, which says how far it got; any daemon
// can do that. A publication names the message it follows, so that of two daemons with the same session one is refused.
//
// Failure modes: whatever is in doubt about a session (no answer, another daemon wrote to it, the stream went away)
// ends its connection and is forgotten here. Its client has everything that was not acknowledged, comes back, and the
// stream is asked again. Nothing is ever published twice from here.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/session_queue.h"
#include "daemon/store.h"
#include "daemon/stream.h"
#include "daemon/stream_record.h"

namespace cproto {

struct StreamStoreOptions {
  std::string name;            // for people, senders among them: "the stream cproto"
  std::size_t pack_bytes = 0;  // of one publication; 1: each message has one of its own
  bool servers_sync = false;   // they sync before they say that something is stored
};

class StreamStore final : public Store, private Stream::Owner {
 public:
  // `stream` outlives it. Begins to open it at once; until it is there senders are told to come back.
  StreamStore(Stream& stream, const StoreOptions& options, const StreamStoreOptions& stream_options, const World& world,
              Log& log);
  ~StreamStore() override;

  void set_options(const StoreOptions& options) override;
  std::optional<Admitted> admit(const Syn& syn, SessionHolder& holder) override;
  void withdraw(const SessionHolder& holder) override;
  void release(SessionEntry& entry, const SessionHolder& holder) override;
  void forget(SessionEntry& entry) override;
  void append(SessionEntry& entry, const server_event::Received& run) override;
  void append(SessionEntry& entry, const server_event::Skipped& skipped) override;
  bool takes_files() const override { return false; }
  bool is_delivered(const SessionEntry&) const override { return true; }
  std::size_t room() const override;
  std::size_t room(const SessionEntry*) const override { return room(); }
  const Error* trouble() const override;
  const Error* trouble(const SessionEntry&) const override { return trouble(); }
  const Error* no_room(const std::string&) override { return trouble(); }
  void flush() override;
  void handle_timeout() override;
  Instant next_deadline() const override;
  bool is_at_rest() const override { return held_ == 0 && tickets_.empty(); }
  void settle() override {}
  std::uint64_t moves() const override { return moves_; }
  bool verify(JournalCheck::Damage, JournalCheck::Done) override { return false; }
  bool is_busy() const override { return !tickets_.empty() || trouble_.has_value(); }
  std::vector<Wait> waits() const override;
  const Error* worst_trouble() const override { return trouble_ ? &*trouble_ : nullptr; }
  void add_details(Details& details, bool is_for_programs) const override;
  void add_metrics(Exposition& out) const override;
  std::string why_held() const override { return options_.name + " takes less than comes in"; }
  std::string why_blocked(const std::string&) const override { return {}; }
  std::string left_to_do() const override;
  std::string who_has_the_rest() const override { return "senders have what was not acknowledged"; }
  std::uint64_t held_bytes() const override { return held_ + partial_frames_.bytes(); }

 private:
  // A publication on its way.
  struct Flight {
    Position after;
    std::size_t bytes = 0;  // it holds
  };
  struct Session {
    std::string name;  // in the stream
    std::string subject;
    std::uint64_t last = 0;  // the sequence of its last message
    SessionQueue queue;
    std::optional<Flight> flight;
    bool is_waiting = false;  // among those to be published with this turn
  };
  // A resume, until the stream says how far its session got; and then until a note behind that is stored (STREAM.md
  // §4).
  struct Question {
    Syn syn;
    SessionHolder* holder = nullptr;
    std::optional<StreamMark> found = {};
  };
  struct Ticket {
    std::uint64_t session = 0;  // of a publication; 0: a question
    Instant since;
  };

  void apply_limits();
  std::size_t pack_max() const;
  std::uint64_t ask(Question question);
  std::optional<Question> take_question(std::uint64_t ticket);
  void publish_note(Question question, std::uint64_t last);
  Admitted decide(const Question& question, std::uint64_t last);
  void begin(const SessionEntry& entry, std::uint64_t last, std::string channel);
  std::optional<Error> take_from_former(const Syn& syn);
  void drop(SessionEntry& entry);
  Session* find(const SessionEntry& entry);
  void note_appended(SessionEntry& entry, Session& session, const Position& after);
  void publish(SessionEntry& entry, Session& session);
  void doubt(std::uint64_t index, const Error& why);
  void let_go(SessionEntry& entry);
  std::optional<std::uint64_t> take_publication(std::uint64_t ticket);
  void begin_trouble(ErrorCode code, const std::string& sentence, Duration refuse_for);
  void end_trouble();

  void on_opened(const StreamTerms& terms) override;
  void on_closed(const std::string& why) override;
  void on_stored(std::uint64_t ticket, std::uint64_t sequence) override;
  void on_refused(std::uint64_t ticket, Stream::Refused how, const std::string& why) override;
  void on_found(std::uint64_t ticket, const std::optional<StreamMessage>& last) override;
  void on_not_asked(std::uint64_t ticket, const std::string& why) override;

  Stream& stream_;
  StreamStoreOptions options_;
  RegistryOptions limits_;  // as configured; what the stream cannot take is less
  StreamTerms terms_;
  bool is_open_ = false;
  Instant open_at_ = kNever;  // again
  Duration back_off_{0};
  std::unordered_map<std::uint64_t, Session> sessions_;    // by index
  std::map<std::uint64_t, Ticket> tickets_;                // oldest first
  std::unordered_map<std::uint64_t, Question> questions_;  // by ticket
  std::vector<std::uint64_t> waiting_;                     // sessions to be published
  std::uint64_t last_ticket_ = 0;
  std::uint64_t held_ = 0;  // bytes in queues and on their way
  std::uint64_t moves_ = 0;
  std::optional<Error> trouble_;   // until something is stored again
  Instant refuse_until_ = kNever;  // while it lasts senders are sent away
  Instant over_from_{};            // what is stored before says nothing: there may be room for a small one
  Histogram<kSyncSeconds.size()> publish_seconds_{kSyncSeconds};
  std::uint64_t written_elsewhere_ = 0;
};

}  // namespace cproto
