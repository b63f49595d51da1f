#include "tests/simulation/connection.h"

#include <algorithm>
#include <utility>

#include "proto/frame.h"

namespace cproto::sim {

namespace {

constexpr std::size_t kCapacity = 64 * 1024;  // of a stream, in each direction
constexpr Duration kRest = 20ms;              // of a slow reader

}  // namespace

Duration Connection::delay() {
  const auto spread = static_cast<std::uint64_t>((plan_.delay_max - plan_.delay_min).count());
  Duration delay = plan_.delay_min + Duration(static_cast<std::int64_t>(random_.below(spread + 1)));
  if (plan_.long_delay > 0 && random_.chance(plan_.long_delay)) {
    coverage_.add(Fault::long_delay);
    delay += std::chrono::milliseconds(random_.between(100, 4000));
  }
  return delay;
}

void Connection::damage(Bytes& bytes) {
  coverage_.add(Fault::bytes_corrupted);
  const std::size_t at = random_.below(bytes.size());
  bytes[at] ^= static_cast<std::uint8_t>(random_.between(1, 255));
}

bool Connection::can_write(Side side) const {
  const Flow& flow = flows_[index(side)];
  return !flow.is_shut && (plan_.transport == Transport::datagram || flow.under_way < kCapacity);
}

void Connection::write(Side side, ByteView bytes) {
  if (is_broken_ || bytes.empty()) return;
  if (plan_.transport == Transport::datagram) return write_datagrams(side, bytes);
  write_stream(side, Bytes(bytes.begin(), bytes.end()));
  flow(side).writer_waits = !can_write(side);
}

void Connection::write_stream(Side side, Bytes bytes) {
  Flow& flow = this->flow(side);
  flow.under_way += bytes.size();
  if (random_.chance(plan_.corruption)) damage(bytes);
  flow.last_arrival = std::max(flow.last_arrival, scheduler_.now() + delay());
  scheduler_.at(flow.last_arrival, [self = shared_from_this(), side, bytes = std::move(bytes)] {
    append(self->flow(side).arrived, bytes);
    self->deliver(side);
  });
}

void Connection::shut_down(Side side) {
  if (std::exchange(flow(side).is_shut, true) || plan_.transport == Transport::datagram) return;
  scheduler_.at(std::max(flow(side).last_arrival, scheduler_.now() + delay()), [self = shared_from_this(), side] {
    self->flow(side).has_ended = true;
    self->deliver(side);
  });
}

void Connection::leave(Side side) {
  party_[index(side)] = nullptr;
  shut_down(side);
}

void Connection::resume_reading(Side side) {
  scheduler_.at(scheduler_.now(), [self = shared_from_this(), side] {
    self->deliver(other(side));
    if (self->flow(other(side)).has_news) self->tell_broken(side);
  });
}

// To whoever reads, as much as it wants, cut anywhere.
void Connection::deliver(Side writer) {
  Flow& flow = this->flow(writer);
  if (std::exchange(flow.is_delivering, true)) return;
  Party* reader = nullptr;
  while (!is_broken_ && !flow.is_blocked && !flow.is_resting && (reader = party_[index(other(writer))]) != nullptr &&
         !flow.arrived.empty()) {
    const std::size_t slow = plan_.slow_reader > 0 ? plan_.slow_reader : flow.arrived.size();
    const std::size_t most = reader->is_stopped() ? 0 : std::min({flow.arrived.size(), reader->read_max(), slow});
    if (most == 0) {
      if (!reader->is_stopped()) reader->on_full();
      break;
    }
    const std::size_t size = random_.chance(70) ? most : random_.between(1, most);
    const Bytes bytes(flow.arrived.begin(), flow.arrived.begin() + static_cast<std::ptrdiff_t>(size));
    flow.arrived.erase(flow.arrived.begin(), flow.arrived.begin() + static_cast<std::ptrdiff_t>(size));
    flow.under_way -= size;
    if (plan_.slow_reader > 0) rest(flow, writer);
    reader->on_bytes(bytes);
  }
  flow.is_delivering = false;
  if (is_broken_) return;
  reader = party_[index(other(writer))];
  const bool hears_end = flow.arrived.empty() && flow.has_ended && !flow.is_blocked && reader != nullptr;
  if (hears_end && !reader->is_stopped() && !std::exchange(flow.end_was_told, true)) reader->on_end();
  if (flow.writer_waits && can_write(writer)) {
    flow.writer_waits = false;
    scheduler_.after(delay(), [self = shared_from_this(), writer] {
      if (Party* party = self->party_[index(writer)]; party != nullptr && !self->is_broken_) party->on_writable();
    });
  }
}

void Connection::rest(Flow& flow, Side writer) {
  coverage_.add(Fault::slow_reader);
  flow.is_resting = true;
  scheduler_.after(kRest, [self = shared_from_this(), writer] {
    self->flow(writer).is_resting = false;
    self->deliver(writer);
  });
}

void Connection::cut() {
  if (std::exchange(is_broken_, true) || plan_.transport == Transport::datagram) return;
  for (const Side side : {Side::client, Side::server}) {
    if (random_.chance(20)) {  // it will find out by itself
      coverage_.add(Fault::half_open);
      continue;
    }
    scheduler_.after(delay(), [self = shared_from_this(), side] { self->tell_broken(side); });
  }
}

void Connection::tell_broken(Side side) {
  Party* party = party_[index(side)];
  Flow& flow = this->flow(other(side));
  flow.has_news = party != nullptr && party->is_stopped();
  if (party != nullptr && !flow.has_news) party->on_broken();
}

void Connection::block(Side writer) {
  coverage_.add(Fault::one_way);
  flow(writer).is_blocked = true;
}

void Connection::unblock(Side writer) {
  if (!std::exchange(flow(writer).is_blocked, false)) return;
  scheduler_.after(delay(), [self = shared_from_this(), writer] { self->deliver(writer); });
}

void Connection::heal() {
  plan_.loss = plan_.duplication = plan_.corruption = plan_.long_delay = 0;
  plan_.slow_reader = 0;
  for (const Side side : {Side::client, Side::server}) unblock(side);
}

// --- datagrams ---

void Connection::write_datagrams(Side side, ByteView bytes) {
  while (!bytes.empty()) {
    const FrameHeader header = decode_header(bytes.data());
    const std::size_t size = kHeaderSize + header.payload_size;
    send_datagram(side, Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)));
    bytes = bytes.subspan(size);
  }
}

void Connection::send_datagram(Side side, Bytes frame) {
  Flow& flow = this->flow(side);
  const bool is_lost = random_.chance(plan_.loss) || flow.is_blocked;
  const bool is_doubled = random_.chance(plan_.duplication);
  if (random_.chance(plan_.corruption)) damage(frame);
  if (is_lost) return coverage_.add(Fault::frame_lost);
  if (is_doubled) coverage_.add(Fault::frame_repeated);
  for (int copies = is_doubled ? 2 : 1; copies > 0; --copies) {
    const Instant arrival = scheduler_.now() + delay();
    if (arrival < flow.last_arrival) coverage_.add(Fault::frame_overtaken);
    flow.last_arrival = std::max(flow.last_arrival, arrival);
    scheduler_.at(arrival, [self = shared_from_this(), side, frame] {
      if (self->is_broken_) return;
      if (other(side) == Side::server && !self->is_joined(Side::server) && self->on_unknown) self->on_unknown(self);
      self->arrive(side, frame);
    });
  }
}

// Who does not read loses what comes.
void Connection::arrive(Side writer, const Bytes& frame) {
  Party* reader = party_[index(other(writer))];
  if (reader == nullptr || reader->is_stopped()) return;
  if (reader->read_max() > 0) return reader->on_bytes(frame);
  coverage_.add(Fault::frame_lost);
  reader->on_full();
}

}  // namespace cproto::sim
