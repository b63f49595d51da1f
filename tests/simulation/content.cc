#include "tests/simulation/content.h"

#include <algorithm>
#include <cstdio>

#include "proto/random.h"

namespace cproto::sim {

namespace {

// Noise, of which each message has a stretch of its own. Its length is a prime: what is in the wrong place by whole
// sectors, or by any power of two, is other noise.
constexpr std::size_t kNoise = 65521;

Bytes make_noise(bool is_text) {
  Bytes noise(kNoise);
  Random random(is_text ? 1 : 2);
  for (std::uint8_t& byte : noise) {
    const auto drawn = static_cast<std::uint8_t>(random.below(256));
    byte = is_text ? static_cast<std::uint8_t>(' ' + drawn % 64) : drawn;
  }
  return noise;
}

}  // namespace

std::string to_text(const MessageId& id) {
  return "c" + std::to_string(id.client) + ".s" + std::to_string(id.session) + ".m" + std::to_string(id.number);
}

Bytes content_of(const MessageId& id, MessageKind kind, std::size_t size) {
  static const Bytes text = make_noise(true);
  static const Bytes binary = make_noise(false);
  const Bytes& noise = kind == MessageKind::text ? text : binary;
  const std::string begin = to_text(id) + ":";
  Bytes bytes(begin.begin(), begin.end());
  bytes.reserve(std::max(size, bytes.size()));
  std::size_t from = Random(id.client * 1'000'003u + id.session * 10'007u + id.number).below(kNoise);
  while (bytes.size() < size) {
    const std::size_t count = std::min(kNoise - from, size - bytes.size());
    append(bytes, ByteView(noise).subspan(from, count));
    from = 0;
  }
  return bytes;
}

std::optional<MessageId> identify(ByteView bytes, MessageKind kind) {
  MessageId id;
  const std::string begin(as_text(bytes.first(std::min<std::size_t>(bytes.size(), 40))));
  if (std::sscanf(begin.c_str(), "c%u.s%u.m%u:", &id.client, &id.session, &id.number) != 3) return std::nullopt;
  const Bytes expected = content_of(id, kind, bytes.size());
  if (!std::equal(bytes.begin(), bytes.end(), expected.begin(), expected.end())) return std::nullopt;
  return id;
}

}  // namespace cproto::sim
