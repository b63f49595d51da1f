// Bytes in network order: loads, stores, and a reader and a writer over them. Everything of the protocol and of the
// store is big-endian and of fixed width, so that a hexadecimal dump can be read by eye.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cproto {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

// A random 128-bit name: of a session, of a store.
using Id128 = std::array<std::uint8_t, 16>;

// From the host's order to the network's, and back. Compilers see one instruction in it; a loop they may leave one.
template <class T>
constexpr T swap_to_be(T value) {
  if constexpr (std::endian::native == std::endian::big || sizeof(T) == 1) return value;
  if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
}

template <class T>
inline T load_be(const std::uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return swap_to_be(value);
}

template <class T>
inline void store_be(std::uint8_t* p, T value) {
  value = swap_to_be(value);
  std::memcpy(p, &value, sizeof value);
}

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

inline void append(Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

// Reads values off the front of a view. Reading past the end gives zeros and empty views and sets failed() for good,
// so that a parser reads all its fields first and asks once.
class ByteReader {
 public:
  explicit ByteReader(ByteView bytes) : rest_(bytes) {}

  template <class T>
  T get() {
    if (!has(sizeof(T))) return 0;
    const T value = load_be<T>(rest_.data());
    rest_ = rest_.subspan(sizeof(T));
    return value;
  }
  std::uint8_t u8() { return get<std::uint8_t>(); }
  std::uint16_t u16() { return get<std::uint16_t>(); }
  std::uint32_t u32() { return get<std::uint32_t>(); }
  std::uint64_t u64() { return get<std::uint64_t>(); }

  Id128 id() {
    Id128 id{};
    const ByteView view = bytes(id.size());
    if (!failed_) std::memcpy(id.data(), view.data(), id.size());
    return id;
  }

  // The next `size` bytes, as a view of the input.
  ByteView bytes(std::size_t size) {
    if (!has(size)) return {};
    const ByteView view = rest_.first(size);
    rest_ = rest_.subspan(size);
    return view;
  }

  // A u16 length and that many bytes.
  ByteView string16() { return bytes(u16()); }

  ByteView rest() const { return rest_; }
  bool empty() const { return rest_.empty(); }
  bool failed() const { return failed_; }
  // What was read makes no sense: as if the end had been passed.
  void fail() { failed_ = true; }

 private:
  bool has(std::size_t size) {
    if (rest_.size() < size) {
      failed_ = true;
      rest_ = {};
    }
    return !failed_;
  }

  ByteView rest_;
  bool failed_ = false;
};

// Appends values to a buffer of the caller's.
class ByteWriter {
 public:
  explicit ByteWriter(Bytes& out) : out_(out) {}

  template <class T>
  void put(T value) {
    std::uint8_t buffer[sizeof(T)];
    store_be(buffer, value);
    out_.insert(out_.end(), buffer, buffer + sizeof(T));
  }
  void u8(std::uint8_t value) { out_.push_back(value); }
  void u16(std::uint16_t value) { put(value); }
  void u32(std::uint32_t value) { put(value); }
  void u64(std::uint64_t value) { put(value); }
  void id(const Id128& id) { bytes(id); }
  void bytes(ByteView bytes) { append(out_, bytes); }
  // Pre: at most 65,535 bytes.
  void string16(ByteView text) {
    u16(static_cast<std::uint16_t>(text.size()));
    bytes(text);
  }

 private:
  Bytes& out_;
};

// Lower-case hexadecimal, two digits a byte.
std::string to_hex(ByteView bytes);

}  // namespace cproto
