#include "daemon/session_queue.h"

#include <algorithm>
#include <utility>

#include "proto/assert.h"
#include "proto/frame.h"

namespace cproto {

namespace {

// Frames are gathered so far in one piece of memory: a larger one would be copied too often as it grows.
constexpr std::size_t kRunMax = 64 * 1024;

}  // namespace

void SessionQueue::push(const server_event::Received& run) {
  const Frames* last = runs_.empty() ? nullptr : std::get_if<Frames>(&runs_.back());
  if (last == nullptr || last->bytes.size() >= kRunMax) runs_.emplace_back(Frames{});
  append(std::get<Frames>(runs_.back()).bytes, run.frames);
  size_ += run.frames.size();
}

void SessionQueue::push(const server_event::Skipped& skipped) {
  runs_.emplace_back(skipped);
  size_ += sizeof skipped;
}

Pack SessionQueue::pack(const PackLimits& limits) {
  Pack pack;
  pack.payload.reserve(std::min(limits.bytes, size_));
  const std::size_t size = size_;
  bool goes_on = true;
  while (goes_on && !runs_.empty()) {
    if (const auto* skipped = std::get_if<server_event::Skipped>(&runs_.front())) {
      take_skipped(pack, *skipped);
      runs_.pop_front();
      continue;
    }
    Frames& frames = std::get<Frames>(runs_.front());
    while (goes_on && frames.taken < frames.bytes.size()) {
      const ByteView rest = ByteView(frames.bytes).subspan(frames.taken);
      const FrameHeader header = decode_header(rest.data());
      goes_on = take_frame(pack, limits, header, rest.subspan(kHeaderSize, header.payload_size));
      if (!goes_on) break;
      frames.taken += kHeaderSize + header.payload_size;
      size_ -= kHeaderSize + header.payload_size;
    }
    if (frames.taken == frames.bytes.size()) runs_.pop_front();
  }
  pack.after = position_;
  pack.taken = size - size_;
  return pack;
}

// False: the pack is full, or has another kind or channel; the frame is for the next one.
bool SessionQueue::take_frame(Pack& pack, const PackLimits& limits, const FrameHeader& header, ByteView payload) {
  if (header.type == FrameType::header) {
    const auto decoded = decode_message_header(payload);
    const MessageHeader* said = std::get_if<MessageHeader>(&decoded);
    CPROTO_ASSERT(said != nullptr);  // the receiver has read it
    channel_ = said->channel;
    if (advance(position_, header, payload, default_kind_) == MessageStep::abandoned) drop_open(pack);
    return true;
  }
  const bool begins_here = !position_.message.is_begun;
  const MessageKind kind = begins_here ? default_kind_ : position_.message.kind;
  if (pack.sizes.empty()) {
    pack.kind = kind;
    pack.channel = channel_;
    pack.is_rest = !begins_here && position_.message.bytes > 0;
  } else {
    const bool is_full =
        pack.payload.size() + payload.size() > limits.bytes || (!pack.has_more && pack.sizes.size() >= limits.pieces);
    if (is_full || pack.kind != kind || pack.channel != channel_) return false;
  }
  if (!pack.has_more) pack.sizes.push_back(0);
  append(pack.payload, payload);
  pack.sizes.back() += payload.size();
  pack.has_more = advance(position_, header, payload, default_kind_) == MessageStep::goes_on;
  if (!pack.has_more) channel_.clear();
  return true;
}

void SessionQueue::take_skipped(Pack& pack, const server_event::Skipped& skipped) {
  drop_open(pack);  // its message is refused
  position_ = skipped.after;
  if (!position_.message.is_begun) channel_.clear();
  if (skipped.refusal.code != ErrorCode::none) pack.refusals.push_back(skipped.refusal);
  size_ -= sizeof skipped;
}

// The message under way will have no end: of it nothing more is stored. What an earlier pack had of it is passed over
// by readers, as no rest follows.
void SessionQueue::drop_open(Pack& pack) {
  if (!std::exchange(pack.has_more, false)) return;
  pack.payload.resize(pack.payload.size() - pack.sizes.back());
  pack.sizes.pop_back();
  if (pack.sizes.empty()) pack.is_rest = false;
}

}  // namespace cproto
