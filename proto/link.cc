#include "proto/link.h"

#include <algorithm>
#include <utility>

namespace cproto {

void Link::establish(Instant now, std::uint32_t max_packet_size, Duration keep_alive) {
  is_established_ = true;
  payload_max_ = std::max(max_packet_size, kControlPayloadMax);
  decoder_.set_payload_max(payload_max_);
  keep_alive_ = keep_alive;
  deadline_ = now + keep_alive;
}

void Link::receive(ByteView input) {
  decoder_.feed(input);
  heard_ += input.size();
}

Link::Item Link::next(Instant now) {
  const Decoder::Result result = decoder_.next();
  switch (result.status) {
    case Decoder::Status::need_more: return {};
    case Decoder::Status::frame:
      last_was_damaged_ = false;
      heard_ = decoder_.unread().size();  // the interval begins here
      intervals_silent_ = 0;
      if (is_established_) deadline_ = now + keep_alive_;
      return {Item::Kind::frame, result.frame, ErrorCode::none};
    case Decoder::Status::damaged: return on_damaged(now);
    case Decoder::Status::too_large: break;
  }
  // A length above the limit right behind a damaged frame says more about the framing than about the peer.
  return {Item::Kind::failed, {}, last_was_damaged_ ? ErrorCode::framing_lost : ErrorCode::frame_too_large};
}

// PROTOCOL §2.5. On a stream, damage is a broken host or a broken framing; a datagram is simply lost.
Link::Item Link::on_damaged(Instant now) {
  const std::size_t slot = damaged_total_ % damaged_at_.size();
  const bool is_fourth = damaged_total_ >= damaged_at_.size() && now - damaged_at_[slot] < 1min;
  ++damaged_total_;
  damaged_at_[slot] = now;
  if (transport_ == Transport::datagram) return {Item::Kind::damaged, {}, ErrorCode::bad_checksum};
  if (!is_established_) return {Item::Kind::failed, {}, ErrorCode::bad_checksum};
  if (last_was_damaged_ || is_fourth) return {Item::Kind::failed, {}, ErrorCode::framing_lost};
  last_was_damaged_ = true;
  return {Item::Kind::damaged, {}, ErrorCode::bad_checksum};
}

// The deadline stays: whoever is not read, however often that begins and ends, is asked as before.
void Link::set_reading(bool is_reading) {
  is_reading_ = is_reading;
  is_read_throughout_ = false;
  heard_ = 0;
  intervals_silent_ = 0;
}

// PROTOCOL §7.1. Who is in the middle of a long frame asks, too: the other end has heard nothing for as long.
Link::Silence Link::check_silence(Instant now) {
  if (now < deadline_) return Silence::none;
  const bool was_read = std::exchange(is_read_throughout_, is_reading_);
  const bool is_silent = was_read && std::exchange(heard_, 0) < payload_max_ / kFrameIntervalsMax;
  intervals_silent_ = is_silent ? intervals_silent_ + 1 : 0;
  if (intervals_silent_ >= kKeepAlivesMissed) {
    deadline_ = kNever;
    return Silence::gone;
  }
  deadline_ = now + keep_alive_;
  return Silence::ask;
}

}  // namespace cproto
