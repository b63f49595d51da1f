// A client and a server with a wire between them, all in memory: both ends as they are, a host for each, and behind the
// server a store whose disk commits when it is told to. Time passes when the test says so.
//
// The store keeps sessions as PROTOCOL §3.6 wants: it begins, resumes, restarts and refuses them, and what a connection
// delivered belongs to the session. Only what was committed survives a crash().
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/client_session.h"
#include "proto/random.h"
#include "proto/server_session.h"
#include "tests/support/frames.h"

namespace cproto::test {

// What happens to a datagram on its way, in percent.
struct Faults {
  double lost = 0;
  double repeated = 0;
  double damaged = 0;
  Duration delay_min = 0ms;
  Duration delay_max = 0ms;  // drawn for each one, so they overtake each other
};

struct ConversationOptions {
  Transport transport = Transport::stream;
  Syn offer = [] {
    Syn syn = a_syn();
    syn.attempt = 0;
    return syn;
  }();
  SenderOptions sender;
  std::uint32_t max_packet_size = 64 * 1024;  // the server's
  std::uint32_t window_size = kWindowMax;
  std::uint64_t window_bytes = 4u << 20;
  std::uint64_t message_size_max = 0;
  Duration keep_alive = kKeepAlive;
  bool commits = true;    // the disk is done whenever nothing else moves
  bool restarts = false;  // sessions that are not known begin again behind what was acknowledged
  std::size_t read_size = 64 * 1024;
  Faults faults;
  std::uint64_t seed = 1;
};

struct Delivered {
  MessageKind kind = MessageKind::text;
  std::string channel;
  std::string text;
  bool operator==(const Delivered&) const = default;
};

class Conversation {
 public:
  explicit Conversation(ConversationOptions options = {});
  ~Conversation();
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  // --- the client's side ---
  // Messages wait here until the session takes them.
  void send(std::string text) { outbox_.push_back(std::move(text)); }
  void close(Disconnect::End end) { close_when_sent_ = end; }
  // A connection; what was there before is cut.
  void connect();
  // Both ends lose the connection; what is under way is gone.
  void cut();
  // The client loses it and comes back; the server has not noticed.
  void connect_beside();
  // The client's program ends, and another begins with what the first knew of its session, but none of its frames.
  void restart_client();

  // --- time ---
  // Everything moves until nothing does. With `commits`, so does the disk.
  void exchange();
  // Lets time pass, with timers and everything that follows from them.
  void advance(Duration duration);
  // Connects, and again whenever the connection ends, until the session is closed. False if it takes longer than
  // `limit`.
  bool run_to_close(Duration limit);

  // --- the server's side ---
  void commit();               // what was received so far is durable
  void commit_through(Seq n);  // the same for numbers up to `n`
  void crash();                // what is not durable is gone, and so is the connection
  void forget_sessions();      // the store is lost, and knows it
  void lose_behind(Seq n);     // an older copy of the store was put back
  void pause(Duration retry_after);
  void set_reading(bool is_reading);

  ClientSession& client() { return client_; }
  // Of the newest connection. Pre: there was one.
  ServerSession& server();
  bool is_connected() const { return client_link_ != nullptr; }
  std::size_t sessions_kept() const;
  std::uint64_t duplicates() const { return duplicates_; }

  // What is done to bytes before they arrive; empty drops them.
  std::function<void(Bytes&)> on_the_way_to_server;
  std::function<void(Bytes&)> on_the_way_to_client;

  std::vector<Delivered> delivered;        // what became durable as whole messages, in order
  std::vector<std::string> texts() const;  // their texts
  std::vector<std::string> frames;         // "> DATA 1, 11 B", "< ACK durable 1, …"
  std::vector<std::string> client_events;  // as to_text() has them
  std::vector<std::string> server_events;  // of all connections
  std::uint64_t in_flight_max = 0;
  Instant now{};

 private:
  struct Record;
  struct StoredSession;
  struct Wire;
  struct Connection;
  class ClientHost;
  class ServerHost;

  void client_turn();
  void server_turn(Connection& connection);
  void pump();
  void on_hello(Connection& connection, const Syn& syn);
  void accept(Connection& connection, StoredSession& session, const Syn& syn, SynAck::Outcome outcome);
  void refuse(Connection& connection, ErrorCode code, std::uint64_t number = 0);
  StoredSession& begin_session(const Syn& syn);
  StoredSession* known_session(const Syn& syn);
  std::optional<std::pair<ErrorCode, std::uint64_t>> lost_session(const Syn::Resume& resume,
                                                                  const StoredSession* session);
  void on_received(Connection& connection, const server_event::Received& run);
  void on_skipped(Connection& connection, const server_event::Skipped& skipped);
  void apply(StoredSession& session, const Record& record);
  void settle_durable(StoredSession& session);
  void note(const char* arrow, ByteView bytes);
  void carry(Wire& wire, Bytes bytes);
  bool deliver_one();
  Instant next_time() const;
  void client_detach(bool is_noticed = true);
  void drop_closed();

  ConversationOptions options_;
  Random random_;
  StoreId store_ = store_id();
  std::uint8_t next_session_ = 1;
  std::map<SessionId, StoredSession> sessions_;
  std::vector<std::unique_ptr<Connection>> connections_;
  Connection* client_link_ = nullptr;  // the client's own
  Connection* newest_ = nullptr;
  ClientSession client_;
  Instant client_deadline_ = kNever;
  std::deque<std::string> outbox_;
  std::size_t outbox_sent_ = 0;
  std::optional<Disconnect::End> close_when_sent_;
  std::uint64_t duplicates_ = 0;
  std::uint64_t order_ = 0;
};

}  // namespace cproto::test
