#include "proto/codec.h"

#include <algorithm>

#include "proto/assert.h"

namespace cproto {

void Decoder::feed(ByteView input) {
  CPROTO_ASSERT(input_.empty());
  if (split_is_done_) split_.clear();
  split_is_done_ = false;
  if (split_.empty()) {
    split_.swap(rest_);
    if (split_.empty() && split_.capacity() > 0) Bytes().swap(split_);
  }
  input_ = input;
}

Decoder::Result Decoder::next() { return has_split() ? next_split() : next_whole(); }

Decoder::Result Decoder::next_split() {
  if (!fill_split(kHeaderSize)) return {};
  const std::uint32_t payload_size = load_be<std::uint32_t>(split_.data());
  if (payload_size > payload_max_) {
    input_ = {};
    return {Status::too_large, {}};
  }
  if (!fill_split(kHeaderSize + payload_size)) return {};
  split_is_done_ = true;
  return check(split_);
}

// Moves input to the split frame until that has `size` bytes. False if the input does not reach so far.
bool Decoder::fill_split(std::size_t size) {
  if (split_.size() < size) {
    const std::size_t count = std::min(size - split_.size(), input_.size());
    append(split_, input_.first(count));
    input_ = input_.subspan(count);
  }
  return split_.size() >= size;
}

Decoder::Result Decoder::next_whole() {
  if (input_.size() < kHeaderSize) return leave_rest();
  const std::uint32_t payload_size = load_be<std::uint32_t>(input_.data());
  if (payload_size > payload_max_) {
    // A datagram ends with itself, whatever its length says.
    const bool is_stream = transport_ == Transport::stream;
    if (is_stream) rest_.assign(input_.begin(), input_.begin() + kHeaderSize);
    input_ = {};
    return {is_stream ? Status::too_large : Status::damaged, {}};
  }
  const std::size_t size = kHeaderSize + payload_size;
  if (input_.size() < size) return leave_rest();
  const ByteView whole = input_.first(size);
  input_ = input_.subspan(size);
  return check(whole);
}

// The end of the input is the beginning of a frame. A stream will bring the rest of it; a datagram will not.
Decoder::Result Decoder::leave_rest() {
  if (input_.empty()) return {};
  if (transport_ == Transport::stream) rest_.assign(input_.begin(), input_.end());
  input_ = {};
  return {transport_ == Transport::datagram ? Status::damaged : Status::need_more, {}};
}

Decoder::Result Decoder::check(ByteView whole) {
  const FrameHeader header = decode_header(whole.data());
  if (frame_checksum(whole.data(), header.payload_size) != header.checksum) return {Status::damaged, {}};
  return {Status::frame, {header.type, header.seq, whole.subspan(kHeaderSize), whole}};
}

}  // namespace cproto
