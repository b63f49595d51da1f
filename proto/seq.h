// Numbers of frames (PROTOCOL §4.1, §4.2). Seq is the 64-bit number everything compares and stores; WireSeq is its low
// 16 bits as a header carries them, and exists only at the codec's edge.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>

namespace cproto {

// Number of a numbered frame within its session. The first is 1; 0 stands before it ("nothing yet"). Never wraps.
struct Seq {
  std::uint64_t value = 0;

  auto operator<=>(const Seq&) const = default;
  Seq next() const { return {value + 1}; }
};

inline Seq operator+(Seq seq, std::uint64_t count) { return {seq.value + count}; }
// Pre: a >= b.
inline std::uint64_t operator-(Seq a, Seq b) { return a.value - b.value; }

struct WireSeq {
  std::uint16_t value = 0;
  bool operator==(const WireSeq&) const = default;
};

inline WireSeq to_wire(Seq seq) { return {static_cast<std::uint16_t>(seq.value & 0xffff)}; }

// PROTOCOL §4.2. The number whose low 16 bits these are, among the 65,536 that end with `highest_possible`, the highest
// the sender may have used. nullopt if that would lie before the session's first.
inline std::optional<Seq> unwrap(WireSeq wire, Seq highest_possible) {
  const auto behind = static_cast<std::uint16_t>(to_wire(highest_possible).value - wire.value);
  if (behind >= highest_possible.value) return std::nullopt;
  return Seq{highest_possible.value - behind};
}

}  // namespace cproto
