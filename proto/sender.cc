#include "proto/sender.h"

#include <algorithm>

#include "proto/assert.h"

namespace cproto {

Seq Sender::push(FrameType type, ByteView payload, bool ends_message) {
  CPROTO_ASSERT(is_numbered(type));
  const Seq number = last_pushed().next();
  encode_frame_at(store_.add(kHeaderSize + payload.size()), type, to_wire(number), payload);
  slots_.push_back({.end = store_.end(), .ends_message = ends_message});
  if (ends_message) ++pushed_messages_;
  return number;
}

bool Sender::attach(const SynAck& terms) {
  const bool is_fresh = slots_in_use() == 0 && durable_through_ == Seq{0};
  if (is_fresh) {
    durable_through_ = terms.durable_through;
    durable_messages_ = pushed_messages_ = terms.durable_messages;
    store_.start_at(terms.durable_bytes + kHeaderSize * terms.durable_through.value);
  }
  if (!agrees_with(terms)) return false;
  forget_through(terms.durable_through);
  for (std::uint64_t i = 0; i < slots_in_use(); ++i) slot(i).is_received = slot(i).must_resend = false;
  retransmitted_ += sent_count_;
  sent_count_ = resend_count_ = 0;
  received_through_ = terms.durable_through;
  window_size_ = terms.window_size;
  limit_number_ = terms.limit_number;
  limit_bytes_ = terms.limit_bytes;
  return true;
}

// Asked before anything is forgotten: where it does not hold, the state is kept for the day the right store is back.
bool Sender::agrees_with(const SynAck& terms) const {
  if (terms.durable_through < durable_through_ || terms.durable_through > highest_sent()) return false;
  const std::uint64_t count = terms.durable_through - durable_through_;
  std::uint64_t messages = durable_messages_;
  for (std::uint64_t i = 0; i < count; ++i) messages += slot(i).ends_message ? 1u : 0u;
  return begin_of(count) - kHeaderSize * terms.durable_through.value == terms.durable_bytes &&
         messages == terms.durable_messages;
}

void Sender::detach() {
  timed_.reset();
  rtt_ = {};
}

ByteView Sender::frame(std::uint64_t index) const {
  const std::uint64_t begin = begin_of(index);
  return store_.frame(begin, slot(index).end - begin);
}

std::uint64_t Sender::payload_total(std::uint64_t index) const {
  return slot(index).end - kHeaderSize * (durable_through_.value + index + 1);
}

// PROTOCOL §6.2. One frame may always be in flight; all others keep to window and limits.
bool Sender::may_send(std::uint64_t index) const {
  if (index >= slots_in_use()) return false;
  if (index == 0) return true;
  return index < window_size_ && durable_through_ + (index + 1) <= limit_number_ &&
         payload_total(index) <= limit_bytes_;
}

std::size_t Sender::take_again(Instant now, Bytes& out, std::size_t bytes_max) {
  for (std::uint64_t i = 0; resend_count_ > 0 && i < sent_count_ && bytes_max > 0; ++i) {
    if (!slot(i).must_resend) continue;
    slot(i).must_resend = false;
    slot(i).sent_at = now;
    --resend_count_;
    ++retransmitted_;
    const ByteView again = frame(i);
    append(out, again);
    bytes_max -= std::min(bytes_max, again.size());
  }
  return bytes_max;
}

void Sender::take_new(Instant now, Bytes& out, std::size_t bytes_max) {
  const std::uint64_t begin = begin_of(sent_count_);
  std::uint64_t end = sent_count_;
  while (may_send(end) && begin_of(end) - begin < bytes_max) slot(end++).sent_at = now;
  if (end == sent_count_) return;
  store_.copy(begin, begin_of(end), out);
  sent_count_ = end;
  highest_sent_ = std::max(highest_sent_, sent_through());
  if (!timed_) {
    timed_ = sent_through();
    timed_at_ = now;
  }
}

Sender::AckOutcome Sender::on_ack(Instant now, const Ack& ack) {
  // What a connection before this one sent may be acknowledged before it has gone out again.
  if (ack.received_through > highest_sent() || (!ack.ranges.empty() && ack.ranges.back().last > sent_through()))
    return {.is_news = false, .is_valid = false};
  AckOutcome outcome;
  outcome.is_news = ack.durable_through > durable_through_ || ack.received_through > received_through_;
  limit_number_ = std::max(limit_number_, ack.limit_number);
  limit_bytes_ = std::max(limit_bytes_, ack.limit_bytes);
  take_sample(now, ack);
  received_through_ = std::max(received_through_, ack.received_through);
  if (ack.durable_through > durable_through_) forget_through(ack.durable_through);
  if (options_.transport == Transport::datagram) mark_gaps(now, ack.ranges);
  return outcome;
}

// Karn: the timed frame was sent once, or timed_ would have been reset. A range counts too: where something is always
// missing before it, received_through would never be there in time.
void Sender::take_sample(Instant now, const Ack& ack) {
  if (!timed_) return;
  const bool is_in_range = std::any_of(ack.ranges.begin(), ack.ranges.end(), [&](const SeqRange& range) {
    return range.first <= *timed_ && *timed_ <= range.last;
  });
  if (ack.received_through < *timed_ && !is_in_range) {
    // Behind the last range that there is room for: it may be there, and be told when the gaps before it are closed.
    if (ack.ranges.size() == kAckRangesMax && ack.ranges.back().last < *timed_) timed_.reset();
    return;
  }
  rtt_.sample(now - timed_at_);
  timed_.reset();
}

void Sender::forget_through(Seq durable_through) {
  const std::uint64_t count = std::min(durable_through - durable_through_, slots_in_use());
  if (count == 0) return;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (slot(i).must_resend) --resend_count_;
    if (slot(i).ends_message) ++durable_messages_;
  }
  store_.forget_before(slot(count - 1).end);
  slots_head_ += count;
  sent_count_ -= std::min(sent_count_, count);
  durable_through_ = durable_through;
  // When the forgotten ones are the larger half: every slot moves once on the average.
  if (slots_head_ * 2 <= slots_.size()) return;
  slots_.erase(slots_.begin(), slots_.begin() + static_cast<std::ptrdiff_t>(slots_head_));
  slots_head_ = 0;
}

void Sender::mark_resend(std::uint64_t index) {
  if (slot(index).must_resend || slot(index).is_received) return;
  slot(index).must_resend = true;
  ++resend_count_;
  if (timed_ == durable_through_ + (index + 1)) timed_.reset();
}

// PROTOCOL §5.3. A range received behind a gap names the gap. What was sent less than a round trip ago may still be on
// its way; until one was measured that is taken to be as long as the first timeout, or every ACK would send the gap
// again.
void Sender::mark_gaps(Instant now, const std::vector<SeqRange>& ranges) {
  const Duration round_trip = rtt_.smoothed() > Duration::zero() ? rtt_.smoothed() : kRtoInitial;
  std::uint64_t index = received_through_ > durable_through_ ? received_through_ - durable_through_ : 0;
  for (const SeqRange& range : ranges) {
    if (range.last <= durable_through_) continue;
    // An ACK that was overtaken names ranges that are durable in part.
    const std::uint64_t begin = range.first > durable_through_ ? range.first - durable_through_ - 1 : 0;
    for (; index < begin; ++index)
      if (now - slot(index).sent_at > round_trip) mark_resend(index);
    for (; index <= range.last - durable_through_ - 1; ++index) {
      slot(index).is_received = true;
      if (slot(index).must_resend) {
        slot(index).must_resend = false;
        --resend_count_;
      }
    }
  }
}

void Sender::on_damaged(Seq next) {
  if (next <= durable_through_ || next > sent_through()) return;
  for (std::uint64_t i = next - durable_through_ - 1; i < sent_count_; ++i) mark_resend(i);
}

void Sender::on_timeout() {
  rtt_.back_off();
  timed_.reset();
  if (options_.transport == Transport::stream) return;
  const std::uint64_t received = received_through_ > durable_through_ ? received_through_ - durable_through_ : 0;
  for (std::uint64_t i = received; i < sent_count_; ++i) mark_resend(i);
}

void Sender::recut(std::uint32_t max_packet_size) {
  Sender fresh(options_);
  fresh.durable_through_ = fresh.received_through_ = durable_through_;
  fresh.durable_messages_ = fresh.pushed_messages_ = durable_messages_;
  fresh.store_.start_at(store_.begin());
  for (std::uint64_t i = 0; i < slots_in_use(); ++i) {
    const ByteView kept = frame(i);
    const FrameHeader header = decode_header(kept.data());
    ByteView payload = kept.subspan(kHeaderSize);
    while (payload.size() > max_packet_size && header.type != FrameType::header) {
      fresh.push(FrameType::fragment, payload.first(max_packet_size), false);
      payload = payload.subspan(max_packet_size);
    }
    fresh.push(header.type, payload, slot(i).ends_message);
  }
  fresh.retransmitted_ = retransmitted_ + sent_count_;
  *this = std::move(fresh);
}

}  // namespace cproto
