#include "tests/simulation/trace_log.h"

#include <algorithm>
#include <cstdio>

#include "proto/checksum.h"
#include "proto/codec.h"
#include "proto/trace.h"

namespace cproto::sim {

namespace {

// One line for each frame, or for a run of the same kind.
template <class Each>
void describe_frames(ByteView bytes, const Each& each) {
  Decoder decoder(Transport::stream);
  decoder.set_payload_max(kPacketSizeMax);
  decoder.feed(bytes);
  Frame first;
  std::size_t count = 0;
  std::size_t payload = 0;
  const auto flush = [&] {
    if (count == 1) each(describe(first));
    if (count > 1)
      each(std::to_string(count) + " x " + frame_type_name(first.type) + " from " + std::to_string(first.seq.value) +
           ", " + std::to_string(payload) + " B in all");
    count = payload = 0;
  };
  for (Decoder::Result next = decoder.next(); next.status == Decoder::Status::frame; next = decoder.next()) {
    const Frame& frame = next.frame;
    const bool goes_on = count > 0 && is_numbered(frame.type) && frame.type == first.type &&
                         frame.seq.value == static_cast<std::uint16_t>(first.seq.value + count);
    if (!goes_on) flush();
    if (count == 0) first = frame;
    ++count;
    payload += frame.payload.size();
  }
  flush();
}

}  // namespace

void TraceLog::add(Instant now, std::string_view text, ByteView frames) {
  mix(static_cast<std::uint64_t>(now.time_since_epoch().count()));
  mix(crc32(crc32(0, as_bytes(text)), frames));
  Entry& entry = last_[count_++ % kKept];
  entry.at = now;
  entry.text.assign(text);
  entry.frames.assign(frames.begin(), frames.end());
  if (is_printing_) print(entry, "");
}

void TraceLog::print(const Entry& entry, const char* indent) {
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(entry.at.time_since_epoch()).count();
  const double seconds = static_cast<double>(micros) * 1e-6;
  if (entry.frames.empty()) std::printf("%s%11.6f  %s\n", indent, seconds, entry.text.c_str());
  describe_frames(entry.frames, [&](const std::string& frame) {
    std::printf("%s%11.6f  %s: %s\n", indent, seconds, entry.text.c_str(), frame.c_str());
  });
}

void TraceLog::print_last() const {
  if (is_printing_) return;
  for (std::uint64_t i = count_ - std::min<std::uint64_t>(count_, kKept); i < count_; ++i)
    print(last_[i % kKept], "  ");
}

}  // namespace cproto::sim
