#include "daemon/bin_messages.h"

#include <algorithm>

#include "proto/checksum.h"

namespace cproto {

namespace {

constexpr std::size_t kHead = 8;
constexpr std::size_t kStep = 1u << 20;

// Up to `size` bytes, taking memory as they come: a damaged length promises anything.
Bytes read_up_to(std::istream& in, std::size_t size) {
  Bytes bytes;
  while (bytes.size() < size && in) {
    const std::size_t begin = bytes.size();
    bytes.resize(std::min(size, begin + kStep));
    in.read(reinterpret_cast<char*>(bytes.data() + begin), static_cast<std::streamsize>(bytes.size() - begin));
    bytes.resize(begin + static_cast<std::size_t>(in.gcount()));
    if (in.gcount() == 0) break;
  }
  return bytes;
}

}  // namespace

bool read_bin_messages(std::istream& in, const std::function<void(ByteView)>& each,
                       const std::function<void(const std::string&)>& trouble) {
  bool is_whole = true;
  std::uint64_t at = 0;
  for (std::uint64_t number = 1;; ++number) {
    const auto say = [&](const std::string& what) {
      is_whole = false;
      trouble("message " + std::to_string(number) + " at byte " + std::to_string(at) + " " + what);
    };
    const Bytes head = read_up_to(in, kHead);
    if (head.empty()) return is_whole;
    const std::uint32_t size = head.size() < kHead ? 0 : load_be<std::uint32_t>(head.data());
    const Bytes message = head.size() < kHead ? Bytes{} : read_up_to(in, size);
    if (head.size() < kHead || message.size() < size) {
      say("is cut short");
      return false;
    }
    if (crc32(0, message) == load_be<std::uint32_t>(head.data() + 4)) {
      each(message);
    } else {
      say("is damaged: its checksum does not agree");
    }
    at += kHead + size;
  }
}

}  // namespace cproto
