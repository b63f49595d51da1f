#include "tests/simulation/connection.h"

#include <algorithm>
#include <utility>

#include "proto/frame.h"

namespace cproto::sim {

namespace {

constexpr std::size_t kCapacity = 64 * 1024;  // of a stream, in each direction

}  // namespace

Duration Connection::delay() {
  const auto spread = static_cast<std::uint64_t>((plan_.delay_max - plan_.delay_min).count());
  return plan_.delay_min + Duration(static_cast<std::int64_t>(random_.below(spread + 1)));
}

void Connection::damage(Bytes& bytes) {
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
  scheduler_.at(scheduler_.now(), [self = shared_from_this(), side] { self->deliver(other(side)); });
}

// To whoever reads, as much as it wants, cut anywhere.
void Connection::deliver(Side writer) {
  Flow& flow = this->flow(writer);
  if (std::exchange(flow.is_delivering, true)) return;
  Party* reader = nullptr;
  while (!is_broken_ && (reader = party_[index(other(writer))]) != nullptr && !flow.arrived.empty()) {
    const std::size_t most = std::min(flow.arrived.size(), reader->read_max());
    if (most == 0) break;
    const std::size_t size = random_.chance(70) ? most : random_.between(1, most);
    const Bytes bytes(flow.arrived.begin(), flow.arrived.begin() + static_cast<std::ptrdiff_t>(size));
    flow.arrived.erase(flow.arrived.begin(), flow.arrived.begin() + static_cast<std::ptrdiff_t>(size));
    flow.under_way -= size;
    reader->on_bytes(bytes);
  }
  flow.is_delivering = false;
  if (is_broken_) return;
  if (flow.arrived.empty() && flow.has_ended && reader != nullptr && !std::exchange(flow.end_was_told, true))
    reader->on_end();
  if (flow.writer_waits && can_write(writer)) {
    flow.writer_waits = false;
    scheduler_.after(delay(), [self = shared_from_this(), writer] {
      if (Party* party = self->party_[index(writer)]; party != nullptr && !self->is_broken_) party->on_writable();
    });
  }
}

void Connection::cut() {
  if (std::exchange(is_broken_, true) || plan_.transport == Transport::datagram) return;
  for (const Side side : {Side::client, Side::server}) {
    if (random_.chance(20)) continue;  // half-open: it will find out by itself
    scheduler_.after(delay(), [self = shared_from_this(), side] {
      if (Party* party = self->party_[index(side)]) party->on_broken();
    });
  }
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
  const bool is_lost = random_.chance(plan_.loss);
  const bool is_doubled = random_.chance(plan_.duplication);
  if (random_.chance(plan_.corruption)) damage(frame);
  if (is_lost) return;
  for (int copies = is_doubled ? 2 : 1; copies > 0; --copies) {
    scheduler_.after(delay(), [self = shared_from_this(), side, frame] {
      if (self->is_broken_) return;
      if (other(side) == Side::server && !self->is_joined(Side::server) && self->on_unknown) self->on_unknown(self);
      if (Party* party = self->party_[index(other(side))]) party->on_bytes(frame);
    });
  }
}

}  // namespace cproto::sim
