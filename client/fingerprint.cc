#include "client/fingerprint.h"

#include <unistd.h>

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

std::optional<ByteView> read_first(int fd, FirstBytes& room) {
  const ssize_t size = ::pread(fd, room.data(), room.size(), 0);
  if (size < 0) return std::nullopt;
  return ByteView(room).first(static_cast<std::size_t>(size));
}

bool matches(const Fingerprint& fingerprint, int fd) {
  FirstBytes room;
  const std::optional<ByteView> first = read_first(fd, room);
  return first && Fingerprint(fingerprint).follow(*first);
}

}  // namespace cproto::client
