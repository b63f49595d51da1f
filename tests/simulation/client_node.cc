#include "tests/simulation/client_node.h"

#include <algorithm>
#include <utility>

#include "proto/turn.h"
#include "tests/simulation/server_node.h"

namespace cproto::sim {

namespace {

constexpr std::size_t kLargest = 2u << 20;

std::size_t draw_size(Random& random, double large) {
  const std::uint64_t kind = random.below(100);
  if (random.chance(large)) return random.between(64 * 1024, kLargest);
  if (kind < 60) return random.below(200);
  if (kind < 90) return random.below(4096);
  return random.below(64 * 1024);
}

}  // namespace

ClientNode::ClientNode(World& world, unsigned number, const ClientPlan& plan)
    : world_(world),
      number_(number),
      plan_(plan),
      alarm_(world.scheduler,
             [this] {
               if (session_) session_->handle_timeout(world_.scheduler.now());
               turn();
             }),
      source_alarm_(world.scheduler, [this] { turn(); }),
      sessions_left_(plan.sessions) {
  begin_session();
}

ClientNode::~ClientNode() { drop_connection(); }

std::string ClientNode::describe() const {
  if (!session_) return client_name(number_) + " rests";
  return client_name(number_) + " session " + std::to_string(session_number_) + ", state " +
         std::to_string(static_cast<int>(session_->state())) + ", " + std::to_string(messages_left_) +
         " messages left, sent " + std::to_string(session_->sender().sent_through().value) + ", received " +
         std::to_string(session_->sender().received_through().value) + ", durable " +
         std::to_string(session_->sender().durable_through().value);
}

void ClientNode::heal() {
  plan_.life_max = plan_.pause_max = Duration{0};
  plan_.link.life_max = Duration{0};
  plan_.link.loss = plan_.link.duplication = plan_.link.corruption = 0;
  next_message_at_ = Instant{};
  ++life_;
  turn();
}

// --- its life ---

void ClientNode::begin_session() {
  ++session_number_;
  --sessions_left_;
  messages_left_ = plan_.messages;
  outgoing_ = {};
  packet_size_ = 0;
  ClientOptions options;
  options.transport = options.sender.transport = plan_.link.transport;
  options.offer.client_id = client_name(number_);
  options.offer.channel = world_.random.chance(70) ? "messages" : "other";
  options.offer.kind = world_.random.chance(70)                         ? MessageKind::text
                       : world_.random.chance(50) || world_.plan.stream ? MessageKind::binary
                                                                        : MessageKind::file;
  options.offer.mode = plan_.mode;
  options.offer.max_packet_size = plan_.max_packet_size;
  options.offer.window_size = plan_.window_size;
  options.offer.attempt = 0;
  session_ = std::make_unique<ClientSession>(options);
  world_.trace(client_name(number_) + " begins session " + std::to_string(session_number_));
  if (plan_.life_max > 0s) {
    const Duration lives(
        static_cast<std::int64_t>(world_.random.below(static_cast<std::uint64_t>(plan_.life_max.count()))));
    world_.scheduler.after(lives, [this, life = ++life_] {
      if (life == life_) crash();
    });
  }
  come_back(0s);
}

void ClientNode::crash() {
  if (!session_ || world_.is_healed()) return;
  world_.trace(client_name(number_) + " is killed");
  world_.count(Fault::client_killed);
  if (connection_) connection_->cut();
  drop_connection();
  session_.reset();
  if (sessions_left_ == 0) return;
  world_.scheduler.after(100ms, [this] {
    if (!session_ && sessions_left_ > 0) begin_session();
  });
}

void ClientNode::come_back(Duration delay) {
  world_.scheduler.after(delay, [this, session = session_number_] {
    if (session_ && session == session_number_ && !connection_) connect();
  });
}

void ClientNode::connect() {
  connection_ = world_.make_connection(plan_.link);
  connection_->join(Side::client, this);
  if (plan_.link.life_max > 0s) {
    const auto lives =
        static_cast<std::int64_t>(world_.random.below(static_cast<std::uint64_t>(plan_.link.life_max.count())));
    world_.scheduler.after(Duration(lives), [this, weak = std::weak_ptr(connection_)] {
      const auto connection = weak.lock();
      if (!connection || world_.is_healed()) return;
      world_.trace("connection " + std::to_string(connection->number()) + " is cut");
      world_.count(Fault::connection_cut);
      connection->cut();
    });
  }
  session_->attach(world_.scheduler.now());
  if (plan_.link.transport == Transport::stream)
    world_.scheduler.after(plan_.link.delay_max,
                           [this, connection = connection_] { world_.server->on_connect(connection); });
  turn();
}

void ClientNode::drop_connection() {
  if (!connection_) return;
  std::exchange(connection_, nullptr)->leave(Side::client);
}

// --- hearing ---

void ClientNode::on_bytes(ByteView bytes) {
  if (!session_) return;
  session_->receive(world_.scheduler.now(), bytes);
  turn();
}

void ClientNode::on_broken() {
  if (!session_ || !connection_) return;
  world_.trace(client_name(number_) + " lost its connection");
  drop_connection();
  session_->detach();
  alarm_.set(kNever);
  come_back(Duration(10ms) + Duration(static_cast<std::int64_t>(world_.random.below(500'000'000))));
}

void ClientNode::on_event(ClientEvent& event) {
  if (const auto* established = std::get_if<client_event::Established>(&event)) {
    const std::uint32_t packet_size = established->terms.max_packet_size;
    sent().was_recut = sent().was_recut || packet_size < std::exchange(packet_size_, packet_size);
    sent().id = established->terms.session;
  } else if (const auto* refused = std::get_if<client_event::Refused>(&event)) {
    for (SentMessage& message : sent().messages)
      if (message.first == refused->refusal.first) message.was_refused = true;
  } else if (const auto* failed = std::get_if<client_event::Failed>(&event)) {
    world_.trace(client_name(number_) + " fails: " + error_name(failed->error.code) + ", " + failed->error.sentence);
    retry_after_ = std::chrono::milliseconds(failed->error.retry_after_ms);
    const ErrorCode code = failed->error.code;
    if (code == ErrorCode::store_behind || code == ErrorCode::other_store ||
        (code == ErrorCode::unknown_session && failed->error.error_class != ErrorClass::retry_now))
      world_.fail(client_name(number_) + " hears that the store lost what it acknowledged: " + error_name(code));
  } else if (std::holds_alternative<client_event::Closed>(event)) {
    world_.trace(client_name(number_) + " has closed session " + std::to_string(session_number_));
  }
}

// --- saying ---

Bytes& ClientNode::write_buffer() {
  buffer_.clear();
  return buffer_;
}

void ClientNode::write() {
  world_.trace_frames(client_name(number_), buffer_);
  connection_->write(Side::client, buffer_);
}

void ClientNode::set_deadline(Instant at) { alarm_.set(at); }

void ClientNode::finish() {
  drop_connection();
  alarm_.set(kNever);
  note_acknowledged();
  if (session_->state() == ClientSession::State::closed) {
    sent().is_closed = true;
    session_.reset();
    if (sessions_left_ > 0) begin_session();
    return;
  }
  session_->detach();
  const Duration delay = std::max<Duration>(retry_after_, 10ms);
  retry_after_ = 0s;
  come_back(delay + Duration(static_cast<std::int64_t>(world_.random.below(300'000'000))));
}

void ClientNode::turn() {
  for (bool has_more = true; has_more && session_ && connection_;) {
    const unsigned session = session_number_;
    settle(world_.scheduler.now(), *session_, *this);
    if (!session_ || session != session_number_) return;
    note_acknowledged();
    has_more = connection_ && feed();
  }
}

void ClientNode::note_acknowledged() { sent().acknowledged = session_->sender().durable_messages(); }

// --- the source ---

// Whether anything was handed to the session.
bool ClientNode::feed() {
  if (!session_->can_send()) return false;
  if (outgoing_.message != nullptr) return send_message();
  if (messages_left_ == 0) {
    if (session_->state() != ClientSession::State::established) return false;
    session_->close(Disconnect::End::finish);
    return true;
  }
  if (world_.scheduler.now() < next_message_at_) {
    source_alarm_.set(next_message_at_);
    return false;
  }
  return begin_message();
}

FileDescription ClientNode::description_of(const SentMessage& message, bool has_size) {
  FileDescription file{file_name_of(message.id), {}, 0640, {}};
  if (has_size) file.size = message.size;
  return file;
}

bool ClientNode::begin_message() {
  Random& random = world_.random;
  SentSession& session = sent();
  session.messages.reserve(plan_.messages);
  SentMessage& message = session.messages.emplace_back();
  message.id = {number_, session_number_, static_cast<unsigned>(session.messages.size() - 1)};
  message.kind = session_->offer().kind;
  message.channel = session_->offer().channel;
  outgoing_ = {};
  const bool is_files = message.kind == MessageKind::file;
  outgoing_.needs_header = is_files || random.chance(15);
  if (outgoing_.needs_header && (!is_files || random.chance(10))) {
    const std::uint64_t kind = random.below(10);
    message.kind = kind < 4                         ? MessageKind::text
                   : kind < 8 || world_.plan.stream ? MessageKind::binary
                                                    : MessageKind::file;
    message.channel = random.chance(50) ? "messages" : "third";
  }
  outgoing_.content = content_of(message.id, message.kind, draw_size(random, plan_.large));
  message.size = outgoing_.content.size();
  message.first = session_->sender().last_pushed().next();
  const bool is_abandoned = random.chance(3);
  if (is_abandoned) outgoing_.abandon_at = 1 + random.below(message.size);
  message.is_abandoned = is_abandoned;
  outgoing_.message = &message;
  --messages_left_;
  if (plan_.pause_max > 0s) {
    const auto pause = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(plan_.pause_max.count())));
    next_message_at_ = world_.scheduler.now() + Duration(pause);
  }
  if (message.kind == MessageKind::file)
    session_->begin({MessageKind::file, {}, description_of(message, random.chance(70)), {}});
  else if (outgoing_.needs_header)
    session_->begin({message.kind, message.channel});
  return true;
}

// A file ends with what its bytes come to, and a DATA.
bool ClientNode::send_file() {
  const std::size_t end = outgoing_.abandon_at > 0 ? outgoing_.abandon_at : outgoing_.content.size();
  if (outgoing_.offset < end) {
    const ByteView part = ByteView(outgoing_.content).first(end).subspan(outgoing_.offset);
    const ClientSession::Sent sent = session_->send(part, false);
    outgoing_.digest.update(part.first(sent.bytes));
    outgoing_.offset += sent.bytes;
    return true;
  }
  if (outgoing_.abandon_at > 0) {
    session_->abandon();
  } else if (!std::exchange(outgoing_.told_digest, true)) {
    session_->tell_digest(outgoing_.digest.value());
    return true;
  } else if (!session_->send({}, true).is_complete) {
    return true;
  }
  outgoing_.message->last = session_->sender().last_pushed();
  outgoing_ = {};
  return true;
}

bool ClientNode::send_message() {
  if (outgoing_.message->kind == MessageKind::file) return send_file();
  const std::size_t end = outgoing_.abandon_at > 0 ? outgoing_.abandon_at : outgoing_.content.size();
  const bool is_whole = outgoing_.abandon_at == 0;
  if (outgoing_.offset < end || is_whole) {
    const ByteView part = ByteView(outgoing_.content).first(end).subspan(outgoing_.offset);
    const ClientSession::Sent sent = session_->send(part, is_whole);
    outgoing_.offset += sent.bytes;
    if (!sent.is_complete) return true;
  }
  if (!is_whole) {
    if (!session_->can_send()) return true;
    session_->abandon();
  }
  outgoing_.message->last = session_->sender().last_pushed();
  outgoing_ = {};
  return true;
}

}  // namespace cproto::sim
