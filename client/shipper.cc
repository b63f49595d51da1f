#include "client/shipper.h"

#include <algorithm>
#include <utility>

namespace cproto::client {

bool Shipper::pump() {
  bool moved = false;
  while (session_.can_send()) {
    if (std::exchange(must_abandon_, false)) {
      session_.abandon();
      abandoned_.push_back(session_.sender().last_pushed());
      moved = true;
      continue;
    }
    const Piece piece = source_.peek(session_.max_packet_size());
    switch (piece.kind) {
      case Piece::Kind::wait: return moved;
      case Piece::Kind::part: push(piece); break;
      case Piece::Kind::broken: drop(piece.problem); break;
      case Piece::Kind::end:
        must_abandon_ = session_.in_message();
        if (!must_abandon_) session_.close(Disconnect::End::finish);
        break;
    }
    moved = true;
  }
  return moved;
}

void Shipper::push(const Piece& piece) {
  if (message_size_max_ > 0 && message_bytes_ + piece.bytes.size() > message_size_max_) return refuse_here();
  if (!session_.in_message()) {
    map_.forget_through(session_.sender().durable_through());
    map_.note(session_.sender().last_pushed().next(), tally_.read + 1);
  }
  const ClientSession::Sent sent = session_.send(piece.bytes, piece.is_last);
  source_.take(sent.bytes, sent.is_complete);
  message_bytes_ += sent.bytes;
  if (!sent.is_complete || !piece.is_last) return;
  message_bytes_ = 0;
  ++tally_.read;
}

// Too large for the server: given up while it is read, without being kept.
void Shipper::refuse_here() {
  leave_message();
  count_refused(++tally_.read, reason_of(ErrorCode::message_too_large, {}));
}

void Shipper::drop(const Problem& problem) {
  leave_message();
  ++tally_.read;
  tally_.problems.push_back(problem);
  listener_.on_problem(problem);
}

void Shipper::leave_message() {
  must_abandon_ = session_.in_message();
  message_bytes_ = 0;
  source_.skip();
}

void Shipper::on_terms(const SynAck& terms) {
  // Another server's smaller packets: what waits was cut anew, and its numbers with it.
  if (std::exchange(packet_size_, terms.max_packet_size) != terms.max_packet_size) map_ = {};
  message_size_max_ = terms.message_size_max;
  on_acked({session_.sender().durable_through(), session_.sender().durable_messages()});
}

void Shipper::on_acked(const client_event::Acked& acked) {
  for (; !abandoned_.empty() && abandoned_.front() <= acked.durable_through; abandoned_.pop_front()) ++ended_here_;
  // A refusal may be told before the end of its message is durable: never more than is true.
  tally_.durable = acked.durable_messages - std::min(acked.durable_messages, ended_here_);
  tally_.durable_bytes = session_.sender().durable_bytes();
}

void Shipper::on_refused(const client_event::Refused& refused) {
  ++ended_here_;
  const Refusal& refusal = refused.refusal;
  count_refused(map_.find(refusal.first).value_or(0), reason_of(refusal.code, refused.sentence));
}

void Shipper::count_refused(std::uint64_t ordinal, std::string reason) {
  ++tally_.refused;
  const std::string name = ordinal > 0 ? source_.name(ordinal) : "an earlier message";
  Tally::Refused entry{name, std::move(reason)};
  if (tally_.refused_named.size() < kNamedMax) tally_.refused_named.push_back(entry);
  listener_.on_refused(entry);
}

std::string Shipper::reason_of(ErrorCode code, const std::string& sentence) const {
  if (code == ErrorCode::message_too_large && message_size_max_ > 0)
    return "larger than " + human_bytes(message_size_max_);
  if (!sentence.empty()) return printable(sentence);
  const ErrorEntry* entry = find_error(code);
  return entry != nullptr ? std::string(entry->sentence) : error_name(code);
}

bool Shipper::is_settled() const {
  const Sender& sender = session_.sender();
  return sender.last_pushed() == sender.durable_through() && source_.is_drained() && !session_.in_message();
}

}  // namespace cproto::client
