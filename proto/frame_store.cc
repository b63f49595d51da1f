#include "proto/frame_store.h"

#include <algorithm>
#include <utility>

#include "proto/assert.h"

namespace cproto {

namespace {

// Some frames of the usual largest size; of small ones, thousands.
constexpr std::size_t kChunkSize = 256 * 1024;

}  // namespace

void FrameStore::start_at(std::uint64_t place) {
  CPROTO_ASSERT(size() == 0);
  forget_before(end_);
  begin_ = end_ = place;
}

void FrameStore::open_chunk(std::size_t bytes) {
  if (!spare_.empty() && spare_.back().capacity >= bytes) {
    chunks_.push_back(std::move(spare_.back()));
    spare_.pop_back();
  } else {
    const std::size_t capacity = std::max(bytes, kChunkSize);
    // Not filled with zeros: what is read of it was written.
    chunks_.push_back({0, capacity, std::unique_ptr<std::uint8_t[]>(new std::uint8_t[capacity])});
  }
  chunks_.back().begin = end_;
  next_ = chunks_.back().bytes.get();
  room_ = chunks_.back().capacity;
}

std::size_t FrameStore::chunk_of(std::uint64_t place) const {
  CPROTO_ASSERT(begin_ <= place && place < end_);
  const auto behind = std::upper_bound(chunks_.begin(), chunks_.end(), place,
                                       [](std::uint64_t at, const Chunk& chunk) { return at < chunk.begin; });
  return static_cast<std::size_t>(behind - chunks_.begin()) - 1;
}

std::uint64_t FrameStore::end_of(std::size_t index) const {
  return index + 1 < chunks_.size() ? chunks_[index + 1].begin : end_;
}

ByteView FrameStore::frame(std::uint64_t place, std::size_t bytes) const {
  const std::size_t index = chunk_of(place);
  CPROTO_ASSERT(place + bytes <= end_of(index));
  return {chunks_[index].bytes.get() + (place - chunks_[index].begin), bytes};
}

void FrameStore::copy(std::uint64_t from, std::uint64_t to, Bytes& out) const {
  for (std::size_t index = from < to ? chunk_of(from) : 0; from < to; ++index) {
    const std::uint64_t end = std::min(to, end_of(index));
    append(out, {chunks_[index].bytes.get() + (from - chunks_[index].begin), static_cast<std::size_t>(end - from)});
    from = end;
  }
}

void FrameStore::forget_before(std::uint64_t place) {
  CPROTO_ASSERT(begin_ <= place && place <= end_);
  begin_ = place;
  std::size_t used_up = 0;
  while (used_up < chunks_.size() && end_of(used_up) <= place) ++used_up;
  for (std::size_t i = 0; i < used_up; ++i) spare_.push_back(std::move(chunks_[i]));
  chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(used_up));
  if (chunks_.empty()) room_ = 0;
}

}  // namespace cproto
