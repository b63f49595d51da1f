#include "tests/simulation/content.h"

#include <algorithm>
#include <cstdio>

#include "proto/random.h"

namespace cproto::sim {

std::string to_text(const MessageId& id) {
  return "c" + std::to_string(id.client) + ".s" + std::to_string(id.session) + ".m" + std::to_string(id.number);
}

Bytes content_of(const MessageId& id, MessageKind kind, std::size_t size) {
  const std::string begin = to_text(id) + ":";
  Bytes bytes(begin.begin(), begin.end());
  bytes.reserve(std::max(size, bytes.size()));
  Random random(id.client * 1'000'003u + id.session * 10'007u + id.number);
  while (bytes.size() < size) {
    std::uint64_t word = random.next();
    for (int i = 0; i < 8 && bytes.size() < size; ++i, word >>= 8) {
      const auto byte = static_cast<std::uint8_t>(word & 0xff);
      bytes.push_back(kind != MessageKind::text ? byte : static_cast<std::uint8_t>(' ' + byte % 64));
    }
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
