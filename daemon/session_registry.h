// Who has which session (PROTOCOL §3.6): finds, begins, resumes, takes over, forgets. Knows what a session is and what
// of it is durable; not how bytes get to the disk (store) nor what is said on the wire (ServerSession).
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "daemon/records.h"
#include "proto/error.h"
#include "proto/handshake.h"
#include "proto/receiver.h"
#include "proto/time.h"

namespace cproto {

// What an operator asks about a connection.
struct ConnectionView {
  std::string_view peer = {};  // "192.0.2.9:51234"
  Instant since = {};
  Instant last_input = {};
  OperationMode mode = OperationMode::burst;
  double messages_per_second = 0;
  bool is_reading = true;  // false: held, as there is no room
};

struct SessionEntry;

// How a Hello was answered.
struct Admission {
  SessionEntry* entry = nullptr;
  SynAck terms;
  bool was_restarted = false;
};

// The connection a session has at the moment.
class SessionHolder {
 public:
  virtual ~SessionHolder() = default;
  virtual ConnectionView view() = 0;
  // An operator ends the connection; the session stays, and the client comes back by itself.
  virtual void on_kicked() = 0;
  // More of the session is durable than before.
  virtual void on_committed() = 0;
  // What a SYN came to that could not be decided on at once.
  virtual void on_admitted(std::variant<Admission, Error> admitted) = 0;
  // Every file of the session that is whole is where people look for it.
  virtual void on_delivered() = 0;
  // A message that was received is refused after all; on_committed() follows when that is durable.
  virtual void on_message_refused(const Refusal& refusal) = 0;
  // A newer connection has taken the session over; it is no longer this holder's.
  virtual void on_superseded() = 0;
  // The disk does not take what was received: for a while nothing more of the session becomes durable.
  virtual void on_trouble(const Error& trouble) = 0;
};

// A refusal on its way to the client.
struct RecordedRefusal {
  enum class Stage : std::uint8_t {
    gathered,  // in the batch being gathered
    flying,    // in the batch on its way to the disk
    to_tell,   // durable, and still to be told on this connection
    told,      // or the next SYN-ACK tells it
  };
  Refusal refusal;
  Stage stage = Stage::told;
};

struct SessionEntry {
  std::uint64_t index = 0;  // in this store's records; never used twice
  SessionId id{};
  std::string client_id;
  std::string channel;
  std::vector<std::string> more_channels;  // named by HEADERs since the start
  std::string identity;
  MessageKind kind = MessageKind::text;
  std::uint64_t attempt = 0;
  std::uint32_t max_packet_size = 0;
  std::uint32_t window_size = 1;          // of its connection
  Position received;                      // what comes again is a duplicate
  Position appended;                      // of that: handed to the journal
  Position flying;                        // of the batch on its way to the disk
  Position durable;                       // told, or to be told, to the client
  std::vector<RecordedRefusal> refusals;  // not yet shown to be known
  std::uint64_t record_batch = 0;         // the batch of its last session record; 0: exists in memory only
  SessionHolder* holder = nullptr;
  Instant left_at = kNever;                // its last connection ended then; kNever: none has since the start
  Duration last_there{0};                  // its client: in running time of the store (STORE §4.7)
  Duration recorded_there{0};              // the same, as its last record has it
  ErrorCode last_error = ErrorCode::none;  // that its last connection ended with
  std::vector<Seq> undelivered;            // first numbers of files that are whole and not in the inbox yet
  bool is_touched = false;                 // something of it is gathered for the next batch
  bool is_flying = false;                  // something of it is in the batch on its way
  bool is_forgotten = false;               // finished; goes once delivery has passed it

  // What stands at this stage goes on to that one.
  void move_refusals(RecordedRefusal::Stage from, RecordedRefusal::Stage to) {
    for (RecordedRefusal& one : refusals)
      if (one.stage == from) one.stage = to;
  }
  // The SYN-ACK says them, or nobody is there to hear.
  void pass_over_refusals() { move_refusals(RecordedRefusal::Stage::to_tell, RecordedRefusal::Stage::told); }
  // Those that are to be told; they are from now on.
  std::vector<Refusal> take_refusals() {
    std::vector<Refusal> taken;
    for (RecordedRefusal& one : refusals)
      if (one.stage == RecordedRefusal::Stage::to_tell) {
        taken.push_back(one.refusal);
        one.stage = RecordedRefusal::Stage::told;
      }
    return taken;
  }
  void note_undelivered(Seq first) {
    if (std::find(undelivered.begin(), undelivered.end(), first) == undelivered.end()) undelivered.push_back(first);
  }
};

struct RegistryOptions {
  StoreId store{};
  std::uint32_t max_packet_size = 64 * 1024;
  std::uint32_t window_size = kWindowMax;
  bool restart_unknown = false;  // [session] unknown = "restart"
  std::uint64_t message_size_max = 64u << 20;
  std::uint64_t file_size_max = 0;  // 0: none
  std::size_t clients_max = 10000;
  std::size_t channels_per_client_max = 100;
  // What "durable" means: PROTOCOL §3.3.
  Durability durability = Durability::fsync;
  std::uint8_t replicas = 1;
  bool replicas_sync = true;
};

class SessionRegistry {
 public:
  // `draw_id` gives 128 random bits.
  SessionRegistry(const RegistryOptions& options, std::function<Id128()> draw_id)
      : options_(options), draw_id_(std::move(draw_id)) {}

  // The store's id stays what it is.
  void set_options(const RegistryOptions& options) {
    const StoreId store = options_.store;
    options_ = options;
    options_.store = store;
  }

  void set_store(const StoreId& store) { options_.store = store; }

  // Decides on a SYN. On success the session is `holder`'s, and whoever had it has heard on_superseded().
  std::variant<Admission, Error> admit(const Syn& syn, SessionHolder& holder);
  // What a resume says of a session that is its holder's already, as of now.
  SynAck resumed_terms(const Syn& syn, SessionEntry& entry) const {
    return admission(syn, entry, SynAck::Outcome::resumed).terms;
  }
  // A HEADER of the session names this channel. False: its client has as many as it may.
  bool use_channel(SessionEntry& entry, const std::string& channel);
  // `holder`'s connection is gone. A session of which nothing was recorded goes with it.
  void release(SessionEntry& entry, const SessionHolder& holder);
  // The session is finished. It stays findable by index until purge().
  void forget(SessionEntry& entry);
  // Nothing refers to the index any more.
  void purge(std::uint64_t index);

  // Clients that have a folder in the inbox count as known, whether they have a session or not.
  void set_folders(std::set<std::string> clients) { folders_ = std::move(clients); }

  // nullptr if there is none.
  SessionEntry* find(std::uint64_t index);
  SessionEntry* find(const SessionId& id);
  // For a session that is restored and had none.
  std::uint64_t new_index() { return next_index_++; }
  // A record speaks of this index: no session to come may have it.
  void reserve(std::uint64_t index) { next_index_ = std::max(next_index_, index + 1); }
  // From a session record: begins the session, or moves it there.
  SessionEntry& restore(std::uint64_t index, const SessionRecord& record);

  // Whose the sessions are.
  const StoreId& store() const { return options_.store; }
  std::size_t size() const { return by_index_.size(); }
  const std::unordered_map<std::uint64_t, std::unique_ptr<SessionEntry>>& all() const { return by_index_; }

 private:
  // A client's, in the order of their names.
  struct Channel {
    std::string name;
    std::size_t sessions = 0;
  };
  using Channels = std::vector<Channel>;

  static Channels::iterator place_of(Channels& channels, const std::string& name);
  static bool contains(const Channels& channels, const std::string& name);
  static void enter(Channels& channels, const std::string& name);
  static void leave(Channels& channels, const std::string& name);

  struct IdHash {
    std::size_t operator()(const SessionId& id) const { return load_be<std::uint64_t>(id.data()); }
  };

  std::variant<Admission, Error> begin(const Syn& syn, SessionHolder& holder);
  std::variant<Admission, Error> resume(const Syn& syn, SessionHolder& holder);
  std::variant<Admission, Error> refuse_or_restart(const Syn& syn, SessionHolder& holder, ErrorCode code,
                                                   Seq durable_through = {});
  std::variant<Admission, Error> add(const Syn& syn, SessionHolder& holder);
  Admission admission(const Syn& syn, SessionEntry& entry, SynAck::Outcome outcome) const;
  std::string assign_client_id();
  std::optional<Error> check_names(const Syn& syn) const;
  bool has_all_clients() const;

  RegistryOptions options_;
  std::function<Id128()> draw_id_;
  std::uint64_t next_index_ = 1;
  std::unordered_map<std::uint64_t, std::unique_ptr<SessionEntry>> by_index_;
  std::unordered_map<SessionId, SessionEntry*, IdHash> by_id_;
  std::unordered_map<std::string, Channels> sessions_of_;  // by client
  std::set<std::string> folders_;                          // clients that have one
};

// What a session record says of this entry now.
SessionRecord to_record(const SessionEntry& entry);

}  // namespace cproto
