#include "client/fingerprint.h"

namespace cproto::client {

namespace {

constexpr std::uint64_t kFnvBasis = 0xcbf29ce484222325;
constexpr std::uint64_t kFnvPrime = 0x100000001b3;

std::uint64_t fnv(std::uint64_t sum, ByteView bytes) {
  for (const std::uint8_t byte : bytes) sum = (sum ^ byte) * kFnvPrime;
  return sum;
}

}  // namespace

bool Fingerprint::follow(ByteView first) {
  if (first.size() < bytes) return false;
  const std::uint64_t known = fnv(kFnvBasis, first.first(bytes));
  if (bytes > 0 && known != sum) return false;
  sum = fnv(known, first.subspan(bytes));
  bytes = static_cast<std::uint32_t>(first.size());
  return true;
}

std::optional<ByteView> read_first(const OpenFile& file, FirstBytes& room) {
  const std::ptrdiff_t size = file.read(room, 0);
  if (size < 0) return std::nullopt;
  return ByteView(room).first(static_cast<std::size_t>(size));
}

bool matches(const Fingerprint& fingerprint, const OpenFile& file) {
  FirstBytes room;
  const std::optional<ByteView> first = read_first(file, room);
  return first && Fingerprint(fingerprint).follow(*first);
}

}  // namespace cproto::client
