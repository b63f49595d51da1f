#include "daemon/bin_messages.h"

#include <doctest/doctest.h>

#include <sstream>
#include <string>
#include <vector>

#include "proto/checksum.h"

using namespace cproto;

namespace {

std::string stored(std::string_view message) {
  Bytes out;
  ByteWriter writer(out);
  writer.u32(static_cast<std::uint32_t>(message.size()));
  writer.u32(crc32(0, as_bytes(message)));
  writer.bytes(as_bytes(message));
  return std::string(as_text(out));
}

struct Read {
  explicit Read(const std::string& bytes) {
    std::istringstream in(bytes);
    is_whole = read_bin_messages(
        in, [this](ByteView message) { messages.emplace_back(as_text(message)); },
        [this](const std::string& what) { troubles.push_back(what); });
  }
  bool is_whole = false;
  std::vector<std::string> messages;
  std::vector<std::string> troubles;
};

}  // namespace

TEST_CASE("bin messages: each comes as it was, the empty one too") {
  const Read read(stored("one") + stored("") + stored(std::string(3'000'000, 'x')));
  CHECK(read.is_whole);
  REQUIRE(read.messages.size() == 3);
  CHECK(read.messages[0] == "one");
  CHECK(read.messages[1].empty());
  CHECK(read.messages[2].size() == 3'000'000);
}

TEST_CASE("bin messages: an empty file has none and is whole") {
  CHECK(Read("").is_whole);
  CHECK(Read("").messages.empty());
}

TEST_CASE("bin messages: a damaged one is named and passed over") {
  std::string bytes = stored("one") + stored("two") + stored("three");
  bytes[8 + 3 + 8] ^= 1;
  const Read read(bytes);
  CHECK_FALSE(read.is_whole);
  CHECK(read.messages == std::vector<std::string>{"one", "three"});
  CHECK(read.troubles == std::vector<std::string>{"message 2 at byte 11 is damaged: its checksum does not agree"});
}

TEST_CASE("bin messages: one cut short anywhere is named, and those before it come") {
  const std::string bytes = stored("one") + stored("two");
  for (std::size_t size = 12; size < bytes.size(); ++size) {
    const Read read(bytes.substr(0, size));
    CHECK_FALSE(read.is_whole);
    CHECK(read.messages == std::vector<std::string>{"one"});
    CHECK(read.troubles == std::vector<std::string>{"message 2 at byte 11 is cut short"});
  }
}

TEST_CASE("bin messages: a length that promises more than is there takes no memory for it") {
  CHECK(Read(std::string("\xff\xff\xff\xff\0\0\0\0abc", 11)).troubles ==
        std::vector<std::string>{"message 1 at byte 0 is cut short"});
}
