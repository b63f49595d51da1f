// A client's key (PROTOCOL §12.2): 256 random bits that its owner and the server share. Who knows them is that client.
// As a line of a key file, the same on both sides: the client's name, a space, 64 hexadecimal digits.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/bytes.h"

namespace cproto {

// Bytes that nobody else is to see: wiped when they go, and never copied by accident.
class Secret {
 public:
  static constexpr std::size_t kSize = 32;
  explicit Secret(const std::array<std::uint8_t, kSize>& bytes) : bytes_(bytes) {}
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  ~Secret() { wipe(); }

  ByteView bytes() const { return bytes_; }
  // Takes the same time wherever they differ.
  bool operator==(const Secret& other) const;

 private:
  void wipe();
  std::array<std::uint8_t, kSize> bytes_;
};

struct ClientKey {
  std::string client_id;
  Secret secret;
  // What the network sees of it: it names the key to who has it, and nothing to anybody else.
  std::string id;

  ClientKey(std::string client_id, Secret secret);
  // The line, without its end. A secret: where it goes is for the caller to watch.
  std::string line() const;
};

// A key file: lines, blank lines, and comments that begin with '#'. A mistake is said with its line, and not with what
// is in it: that may be a key.
struct KeyFile {
  std::vector<ClientKey> keys;
  std::string trouble;  // empty: it is well
};
KeyFile read_key_file(std::string_view text);

}  // namespace cproto
