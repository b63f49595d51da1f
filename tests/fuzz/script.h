// What a fuzzer's input says to do: steps, most of them frames. A frame in a script gets its checksum from us, or
// hardly any would come through; bytes as they are come through as well.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "proto/bytes.h"
#include "proto/frame.h"
#include "proto/time.h"

namespace cproto::fuzz {

struct Step {
  enum class Kind : std::uint8_t { input, time, act };
  Kind kind{};
  Bytes input;                // what the peer sends
  Duration time{0};           // what passes
  std::uint8_t action = 0;    // what the host does: see the target
  std::uint8_t argument = 0;  // and with what
};

struct Script {
  std::uint8_t options = 0;
  std::vector<Step> steps;
};
// Any bytes are a script; neighbouring inputs are one step.
Script read_script(ByteView bytes);

// Writes one, for a corpus.
void begin_script(std::uint8_t options, Bytes& out);
void put_frames(ByteView frames, Bytes& out);  // Pre: whole frames with at most 255 bytes of payload each
void put_time(std::uint8_t tenths, Bytes& out);
void put_action(std::uint8_t action, std::uint8_t argument, Bytes& out);

// Hands `bytes` over in pieces whose sizes follow from `seed`; whole where that is 0.
template <class Take>
void in_pieces(ByteView bytes, std::uint8_t seed, Take take) {
  std::uint32_t state = seed;
  while (!bytes.empty()) {
    state = state * 1664525u + 1013904223u;
    const std::size_t size = seed == 0 ? bytes.size() : std::min<std::size_t>(bytes.size(), 1 + (state >> 24) % 16);
    take(bytes.first(size));
    bytes = bytes.subspan(size);
  }
}

}  // namespace cproto::fuzz
