#include "tests/support/conversation.h"

#include <algorithm>
#include <utility>

#include "proto/assert.h"
#include "proto/trace.h"
#include "proto/turn.h"
#include "tests/support/endpoints.h"

namespace cproto::test {

// One numbered frame on its way to the disk.
struct Conversation::Record {
  FrameType type{};
  Seq number;
  Bytes payload;
  std::uint64_t payload_bytes = 0;
  bool is_skipped = false;
  bool ends_message = false;
  Refusal refusal;
};

struct Conversation::StoredSession {
  SessionId id{};
  std::string client_id;
  std::string channel;
  MessageKind kind = MessageKind::text;
  std::uint64_t attempt = 0;
  std::uint32_t max_packet_size = 0;
  Position received;
  std::deque<Record> pending;  // received, not durable
  // Durable.
  Seq through;
  std::uint64_t bytes = 0;
  std::uint64_t messages = 0;
  MessageState message;
  std::optional<MessageHeader> header;
  std::string text;  // of the message under way
  std::vector<Refusal> refusals;
  std::vector<Refusal> refusals_to_tell;
  Connection* connection = nullptr;
};

// One direction. On a stream what arrives is what was written, cut into reads; else each datagram finds its own way.
struct Conversation::Wire {
  struct Packet {
    Instant at;
    std::uint64_t order = 0;
    Bytes bytes;
  };
  Bytes stream;
  std::vector<Packet> packets;
  bool is_ended = false;  // nothing more will be written
  bool end_was_told = false;
};

struct Conversation::Connection {
  Connection(Instant now, const ServerOptions& options) : server(now, options) {}

  ServerSession server;
  SessionId session{};
  std::optional<Syn> waiting;  // a resume, until all that was received is durable (PROTOCOL §3.6)
  Instant deadline = kNever;
  Wire to_server;
  Wire to_client;
  Bytes input;  // stays until the next input
  bool server_is_gone = false;
  bool is_reading = true;
};

class Conversation::ClientHost {
 public:
  ClientHost(Conversation& conversation, Connection& connection) : all_(conversation), connection_(connection) {}

  void on_event(const ClientEvent& event) { all_.client_events.push_back(to_text(event)); }
  static bool can_write() { return true; }
  Bytes& write_buffer() {
    buffer_.clear();
    return buffer_;
  }
  void write() {
    all_.note("> ", buffer_);
    all_.carry(connection_.to_server, buffer_);
  }
  void set_deadline(Instant at) { all_.client_deadline_ = at; }
  static void shut_down() {}
  void finish() { all_.client_detach(); }

 private:
  Conversation& all_;
  Connection& connection_;
  Bytes buffer_;
};

class Conversation::ServerHost {
 public:
  ServerHost(Conversation& conversation, Connection& connection) : all_(conversation), connection_(connection) {}

  void on_event(const ServerEvent& event) {
    all_.server_events.push_back(to_text(event));
    if (const auto* hello = std::get_if<server_event::Hello>(&event)) all_.on_hello(connection_, hello->syn);
    if (const auto* run = std::get_if<server_event::Received>(&event)) all_.on_received(connection_, *run);
    if (const auto* skipped = std::get_if<server_event::Skipped>(&event)) all_.on_skipped(connection_, *skipped);
    if (std::holds_alternative<server_event::Closing>(event)) connection_.server.settle_close(all_.now);
    if (const auto* confirmed = std::get_if<server_event::Confirmed>(&event))
      if (confirmed->end == Disconnect::End::finish) all_.sessions_.erase(connection_.session);
  }
  static bool can_write() { return true; }
  Bytes& write_buffer() {
    buffer_.clear();
    return buffer_;
  }
  void write() {
    CPROTO_ASSERT(!connection_.to_client.is_ended);
    all_.note("< ", buffer_);
    all_.carry(connection_.to_client, buffer_);
  }
  void set_deadline(Instant at) { connection_.deadline = at; }
  void shut_down() { connection_.to_client.is_ended = all_.options_.transport == Transport::stream; }
  void finish() {
    connection_.server_is_gone = connection_.to_client.is_ended = true;
    connection_.deadline = kNever;
  }

 private:
  Conversation& all_;
  Connection& connection_;
  Bytes buffer_;
};

namespace {

ClientOptions client_options(const ConversationOptions& options, const Syn& offer) {
  ClientOptions client;
  client.transport = options.transport;
  client.offer = offer;
  client.sender = options.sender;
  client.sender.transport = options.transport;
  return client;
}

}  // namespace

Conversation::Conversation(ConversationOptions options)
    : options_(std::move(options)), random_(options_.seed), client_(client_options(options_, options_.offer)) {}

Conversation::~Conversation() = default;

ServerSession& Conversation::server() {
  CPROTO_ASSERT(newest_ != nullptr);
  return newest_->server;
}

std::vector<std::string> Conversation::texts() const {
  std::vector<std::string> texts;
  for (const Delivered& message : delivered) texts.push_back(message.text);
  return texts;
}

// --- turns ---

void Conversation::client_turn() {
  if (client_link_ == nullptr) return;
  pump();
  ClientHost host(*this, *client_link_);
  settle(now, client_, host);
  const Sender& sender = client_.sender();
  in_flight_max = std::max(in_flight_max, sender.in_flight());
  if (client_link_ != nullptr && client_.can_send() && !outbox_.empty()) client_turn();
}

void Conversation::server_turn(Connection& connection) {
  if (connection.server_is_gone) return;
  ServerHost host(*this, connection);
  settle(now, connection.server, host);
}

// The application: gives the session what it takes.
void Conversation::pump() {
  while (client_.can_send() && !outbox_.empty()) {
    const ByteView rest = as_bytes(outbox_.front()).subspan(outbox_sent_);
    const ClientSession::Sent sent = client_.send(rest, true);
    outbox_sent_ += sent.bytes;
    if (!sent.is_complete) continue;
    outbox_.pop_front();
    outbox_sent_ = 0;
  }
  if (outbox_.empty() && close_when_sent_) client_.close(*std::exchange(close_when_sent_, std::nullopt));
}

// --- connections ---

void Conversation::connect() {
  cut();
  connect_beside();
}

void Conversation::connect_beside() {
  client_detach(false);
  ServerOptions options;
  options.transport = options_.transport;
  options.keep_alive = options_.keep_alive;
  connections_.push_back(std::make_unique<Connection>(now, options));
  client_link_ = newest_ = connections_.back().get();
  client_.attach(now);
  client_turn();
  server_turn(*newest_);
}

void Conversation::restart_client() {
  cut();
  const Syn offer = client_.offer();
  client_ = ClientSession(client_options(options_, offer));
  outbox_.clear();
  outbox_sent_ = 0;
}

void Conversation::client_detach(bool is_noticed) {
  if (client_link_ == nullptr) return;
  client_link_->to_server.is_ended = is_noticed;
  client_link_ = nullptr;
  client_deadline_ = kNever;
  client_.detach();
}

void Conversation::cut() {
  client_detach();
  for (const auto& connection : connections_) connection->server_is_gone = true;
  drop_closed();
}

void Conversation::drop_closed() {
  for (auto& [id, session] : sessions_)
    if (session.connection != nullptr && session.connection->server_is_gone) session.connection = nullptr;
  std::erase_if(connections_, [&](const auto& connection) {
    const bool is_over = connection->server_is_gone && connection.get() != client_link_;
    if (is_over) duplicates_ += connection->server.duplicates();
    if (is_over && newest_ == connection.get()) newest_ = nullptr;
    return is_over;
  });
}

// --- the wire ---

void Conversation::note(const char* arrow, ByteView bytes) {
  for (const OwnedFrame& frame : frames_in(bytes))
    frames.push_back(arrow + describe({frame.type, frame.seq, frame.payload, {}}));
}

void Conversation::carry(Wire& wire, Bytes bytes) {
  auto& on_the_way =
      client_link_ != nullptr && &wire == &client_link_->to_server ? on_the_way_to_server : on_the_way_to_client;
  if (on_the_way) on_the_way(bytes);
  if (options_.transport == Transport::stream) return append(wire.stream, bytes);
  const Faults& faults = options_.faults;
  for (const OwnedFrame& frame : frames_in(bytes)) {
    Bytes packet;
    encode_frame(frame.type, frame.seq, frame.payload, packet);
    const int copies = random_.chance(faults.repeated) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      if (random_.chance(faults.lost)) continue;
      const auto spread = static_cast<std::uint64_t>((faults.delay_max - faults.delay_min).count());
      const Instant at = now + faults.delay_min + Duration(static_cast<std::int64_t>(random_.below(spread + 1)));
      Bytes copy = packet;
      if (random_.chance(faults.damaged))
        copy[random_.below(copy.size())] ^= static_cast<std::uint8_t>(1u << random_.below(8));
      wire.packets.push_back({at, order_++, std::move(copy)});
    }
  }
}

namespace {

// Takes the next bytes off a wire; empty if nothing has arrived by `now`.
template <class Wire>
Bytes take_arrived(Wire& wire, Instant now, std::size_t read_size) {
  if (!wire.stream.empty()) {
    const auto count = static_cast<std::ptrdiff_t>(std::min(read_size, wire.stream.size()));
    Bytes bytes(wire.stream.begin(), wire.stream.begin() + count);
    wire.stream.erase(wire.stream.begin(), wire.stream.begin() + count);
    return bytes;
  }
  const auto first = std::min_element(wire.packets.begin(), wire.packets.end(), [](const auto& a, const auto& b) {
    return std::pair(a.at, a.order) < std::pair(b.at, b.order);
  });
  if (first == wire.packets.end() || first->at > now) return {};
  Bytes bytes = std::move(first->bytes);
  wire.packets.erase(first);
  return bytes;
}

}  // namespace

// One read at one end. False if nothing has arrived anywhere.
bool Conversation::deliver_one() {
  for (std::size_t i = 0; i < connections_.size(); ++i) {
    Connection& connection = *connections_[i];
    if (!connection.server_is_gone && connection.is_reading) {
      Bytes bytes = take_arrived(connection.to_server, now, options_.read_size);
      if (!bytes.empty()) {
        connection.server.receive(now, bytes);
        connection.input = std::move(bytes);
        server_turn(connection);
        return true;
      }
      if (connection.to_server.is_ended && connection.to_server.packets.empty() &&
          !std::exchange(connection.to_server.end_was_told, true) && options_.transport == Transport::stream) {
        connection.server.receive_end(now);
        server_turn(connection);
        return true;
      }
    }
    if (connection.server_is_gone) connection.to_server.packets.clear();
    if (&connection != client_link_) {
      connection.to_client.packets.clear();  // nobody is there
      continue;
    }
    const Bytes bytes = take_arrived(connection.to_client, now, options_.read_size);
    if (!bytes.empty()) {
      client_.receive(now, bytes);
      client_turn();
      return true;
    }
    if (connection.to_client.is_ended && connection.to_client.packets.empty() &&
        options_.transport == Transport::stream) {
      client_detach();  // the end of the stream
      return true;
    }
  }
  return false;
}

// --- time ---

void Conversation::exchange() {
  client_turn();
  for (;;) {
    if (deliver_one()) continue;
    const bool is_dirty =
        std::any_of(sessions_.begin(), sessions_.end(), [](const auto& s) { return !s.second.pending.empty(); });
    if (!options_.commits || !is_dirty) break;
    commit();
  }
  drop_closed();
}

Instant Conversation::next_time() const {
  Instant next = client_deadline_;
  for (const auto& connection : connections_) {
    if (!connection->server_is_gone) next = std::min(next, connection->deadline);
    for (const Wire* wire : {&connection->to_server, &connection->to_client})
      for (const auto& packet : wire->packets) next = std::min(next, std::max(packet.at, now));
  }
  return next;
}

void Conversation::advance(Duration duration) {
  const Instant end = now + duration;
  exchange();
  for (Instant next = next_time(); next <= end; next = next_time()) {
    now = next;
    if (client_link_ != nullptr && client_deadline_ <= now) {
      client_.handle_timeout(now);
      client_turn();
    }
    for (std::size_t i = 0; i < connections_.size(); ++i) {
      if (connections_[i]->server_is_gone || connections_[i]->deadline > now) continue;
      connections_[i]->server.handle_timeout(now);
      server_turn(*connections_[i]);
    }
    exchange();
  }
  now = end;
}

bool Conversation::run_to_close(Duration limit) {
  const Instant end = now + limit;
  while (client_.state() != ClientSession::State::closed && now < end) {
    if (!is_connected()) connect_beside();
    advance(100ms);
  }
  return client_.state() == ClientSession::State::closed;
}

// --- the store ---

Conversation::StoredSession* Conversation::known_session(const Syn& syn) {
  const auto found = sessions_.find(syn.resume->session);
  return found != sessions_.end() && found->second.client_id == syn.client_id ? &found->second : nullptr;
}

// PROTOCOL §3.6. Why the session that is to be resumed cannot be.
std::optional<std::pair<ErrorCode, std::uint64_t>> Conversation::lost_session(const Syn::Resume& resume,
                                                                              const StoredSession* session) {
  if (resume.store != store_)
    return std::pair(resume.acknowledged == Seq{0} ? ErrorCode::unknown_session : ErrorCode::other_store,
                     std::uint64_t{0});
  if (session == nullptr) return std::pair(ErrorCode::unknown_session, std::uint64_t{0});
  if (resume.acknowledged > session->through) return std::pair(ErrorCode::store_behind, session->through.value);
  return std::nullopt;
}

void Conversation::on_hello(Connection& connection, const Syn& syn) {
  if (!syn.resume) return accept(connection, begin_session(syn), syn, SynAck::Outcome::begun);
  StoredSession* session = known_session(syn);
  if (const auto lost = lost_session(*syn.resume, session)) {
    if (!options_.restarts || syn.resume->acknowledged == Seq{0}) return refuse(connection, lost->first, lost->second);
    StoredSession& fresh = begin_session(syn);
    fresh.through = fresh.received.through = syn.resume->acknowledged;
    fresh.bytes = fresh.received.bytes = syn.resume->acknowledged_bytes;
    fresh.messages = fresh.received.messages = syn.resume->acknowledged_messages;
    return accept(connection, fresh, syn, SynAck::Outcome::restarted);
  }
  if (syn.attempt <= session->attempt) return refuse(connection, ErrorCode::stale_attempt, session->attempt);
  if (session->connection != nullptr && session->connection != &connection) {
    Connection& older = *session->connection;
    older.server.end(Error::of(ErrorCode::superseded));
    server_turn(older);
  }
  session->attempt = syn.attempt;
  session->connection = &connection;
  connection.session = session->id;
  if (session->pending.empty()) return accept(connection, *session, syn, SynAck::Outcome::resumed);
  connection.waiting = syn;
}

Conversation::StoredSession& Conversation::begin_session(const Syn& syn) {
  const SessionId id = id_of(next_session_++);
  StoredSession& session = sessions_[id];
  session.id = id;
  session.client_id = syn.client_id;
  session.channel = syn.channel;
  session.kind = syn.kind;
  session.max_packet_size = std::min(syn.max_packet_size, options_.max_packet_size);
  return session;
}

void Conversation::accept(Connection& connection, StoredSession& session, const Syn& syn, SynAck::Outcome outcome) {
  session.attempt = syn.attempt;
  session.connection = &connection;
  connection.session = session.id;
  std::erase_if(session.refusals, [&](const Refusal& refusal) { return refusal.first <= syn.refusals_heard; });
  Acceptance acceptance;
  SynAck& terms = acceptance.terms;
  terms.mode = syn.mode;
  terms.outcome = outcome;
  terms.max_packet_size = session.max_packet_size;
  terms.window_size = std::min(syn.window_size, options_.window_size);
  terms.store = store_;
  terms.session = session.id;
  terms.durable_through = session.through;
  terms.durable_bytes = session.bytes;
  terms.durable_messages = session.messages;
  terms.message_size_max = options_.message_size_max;
  terms.refusals = session.refusals;
  session.refusals_to_tell.clear();  // the SYN-ACK says them
  acceptance.received = session.received;
  acceptance.window_bytes = options_.window_bytes;
  acceptance.default_kind = session.kind;
  connection.server.accept(now, acceptance);
}

void Conversation::refuse(Connection& connection, ErrorCode code, std::uint64_t number) {
  connection.server.refuse(Error::of(code, number));
}

void Conversation::on_received(Connection& connection, const server_event::Received& run) {
  StoredSession& session = sessions_.at(connection.session);
  ByteView rest = run.frames;
  Seq number = run.first;
  for (std::uint32_t i = 0; i < run.count; ++i, number = number.next()) {
    const FrameHeader header = decode_header(rest.data());
    const ByteView payload = rest.subspan(kHeaderSize, header.payload_size);
    CPROTO_ASSERT(header.seq == to_wire(number));
    CPROTO_ASSERT(header.checksum == frame_checksum(rest.data(), header.payload_size));
    session.pending.push_back(
        {header.type, number, {payload.begin(), payload.end()}, payload.size(), false, false, {}});
    rest = rest.subspan(kHeaderSize + header.payload_size);
  }
  CPROTO_ASSERT(rest.empty());
  CPROTO_ASSERT(run.first == session.received.through.next());
  session.received = run.after;
}

void Conversation::on_skipped(Connection& connection, const server_event::Skipped& skipped) {
  StoredSession& session = sessions_.at(connection.session);
  CPROTO_ASSERT(skipped.number == session.received.through.next());
  session.pending.push_back(
      {FrameType::fragment, skipped.number, {}, skipped.payload_bytes, true, skipped.ends_message, skipped.refusal});
  session.received = skipped.after;
}

// A record has reached the disk.
void Conversation::apply(StoredSession& session, const Record& record) {
  CPROTO_ASSERT(record.number == session.through.next());
  session.through = record.number;
  session.bytes += record.payload_bytes;
  if (record.is_skipped) {
    if (record.refusal.code != ErrorCode::none) {
      session.refusals.push_back(record.refusal);
      session.refusals_to_tell.push_back(record.refusal);
    }
    session.text.clear();
    session.header.reset();
    if (record.ends_message) {
      ++session.messages;
      session.message = {};
    }
    return;
  }
  MessageKind kind = MessageKind::none;
  std::optional<MessageHeader> header;
  if (record.type == FrameType::header) {
    header = std::get<MessageHeader>(decode_message_header(record.payload));
    kind = header->kind;
  }
  const MessageStep step =
      cproto::advance(session.message, record.type, record.number, record.payload.size(), session.kind, kind);
  CPROTO_ASSERT(step != MessageStep::breaks);
  if (header && step == MessageStep::goes_on) session.header = header;
  if (!header) session.text += as_text(record.payload);
  if (step == MessageStep::ends) {
    const MessageHeader described = session.header.value_or(MessageHeader{session.kind, {}});
    delivered.push_back(
        {described.kind, described.channel.empty() ? session.channel : described.channel, session.text});
  }
  if (step == MessageStep::goes_on) return;
  ++session.messages;
  session.text.clear();
  session.header.reset();
}

void Conversation::settle_durable(StoredSession& session) {
  if (session.connection == nullptr) return;
  Connection& connection = *session.connection;
  if (connection.waiting) {
    if (!session.pending.empty()) return;
    accept(connection, session, *std::exchange(connection.waiting, std::nullopt), SynAck::Outcome::resumed);
  } else {
    connection.server.commit(now, session.through, session.bytes, std::exchange(session.refusals_to_tell, {}));
  }
  server_turn(connection);
}

void Conversation::commit() {
  std::vector<SessionId> ids;
  for (const auto& [id, session] : sessions_)
    if (!session.pending.empty()) ids.push_back(id);
  for (const SessionId& id : ids) {
    StoredSession& session = sessions_.at(id);
    for (; !session.pending.empty(); session.pending.pop_front()) apply(session, session.pending.front());
    settle_durable(session);
  }
}

void Conversation::commit_through(Seq n) {
  for (auto& [id, session] : sessions_) {
    for (; !session.pending.empty() && session.pending.front().number <= n; session.pending.pop_front())
      apply(session, session.pending.front());
    settle_durable(session);
  }
}

void Conversation::crash() {
  cut();
  for (auto& [id, session] : sessions_) {
    session.pending.clear();
    session.received = {session.through, session.bytes, session.messages, session.message};
  }
  std::erase_if(sessions_, [](const auto& session) { return session.second.through == Seq{0}; });
}

void Conversation::forget_sessions() {
  cut();
  sessions_.clear();
}

std::size_t Conversation::sessions_kept() const { return sessions_.size(); }

void Conversation::lose_behind(Seq n) {
  for (auto& [id, session] : sessions_) session.through = session.received.through = n;
}

void Conversation::pause(Duration retry_after) {
  newest_->server.pause(retry_after);
  server_turn(*newest_);
}

void Conversation::set_reading(bool is_reading) {
  newest_->is_reading = is_reading;
  newest_->server.set_reading(is_reading);
  server_turn(*newest_);
}

}  // namespace cproto::test
