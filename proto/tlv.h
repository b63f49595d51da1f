// Parameters (PROTOCOL §3.1): u16 type, u16 length, value. The type's top bit says "critical": who does not know it
// must refuse. All other unknown ones are passed over, and one reserved type is always sent so that this stays true.
#pragma once

#include <cstdint>
#include <string>

#include "proto/bytes.h"

namespace cproto {

inline constexpr std::uint16_t kTlvCritical = 0x8000;

// SYN.
inline constexpr std::uint16_t kTlvClientId = 0x8001;
inline constexpr std::uint16_t kTlvChannel = 0x8002;
inline constexpr std::uint16_t kTlvKind = 0x8003;
inline constexpr std::uint16_t kTlvResume = 0x8004;
inline constexpr std::uint16_t kTlvRefusalsHeard = 0x0005;
// SYN and SYN-ACK.
inline constexpr std::uint16_t kTlvSoftware = 0x0006;
// SYN-ACK.
inline constexpr std::uint16_t kTlvAssignedClientId = 0x0101;
inline constexpr std::uint16_t kTlvMessageSizeMax = 0x0102;
inline constexpr std::uint16_t kTlvUnfinished = 0x0103;
inline constexpr std::uint16_t kTlvRefusal = 0x8104;
inline constexpr std::uint16_t kTlvFileSizeMax = 0x0105;
inline constexpr std::uint16_t kTlvReplication = 0x0106;
// HEADER.
inline constexpr std::uint16_t kTlvMessageChannel = 0x8201;
inline constexpr std::uint16_t kTlvFileName = 0x8202;
inline constexpr std::uint16_t kTlvFileSize = 0x8203;
inline constexpr std::uint16_t kTlvFileMode = 0x0204;
inline constexpr std::uint16_t kTlvFileMtime = 0x0205;
inline constexpr std::uint16_t kTlvFileDigest = 0x8206;

// PROTOCOL §3.1. The eight reserved types are 0x0a0a, 0x1a1a … 0x7a7a; they never mean anything.
constexpr std::uint16_t reserved_tlv(std::uint64_t pick) {
  return static_cast<std::uint16_t>(0x0a0a + 0x1010 * (pick % 8));
}

struct Tlv {
  std::uint16_t type = 0;
  ByteView value;

  bool is_critical() const { return (type & kTlvCritical) != 0; }
};

// A type as it is shown to people: "0x80ff".
inline std::string tlv_name(std::uint16_t type) {
  std::uint8_t bytes[2];
  store_be(bytes, type);
  return "0x" + to_hex(bytes);
}

// Pre: value has at most 65,535 bytes.
inline void put_tlv(ByteWriter& writer, std::uint16_t type, ByteView value) {
  writer.u16(type);
  writer.string16(value);
}
template <class T>
void put_tlv_number(ByteWriter& writer, std::uint16_t type, T value) {
  std::uint8_t buffer[sizeof(T)];
  store_be(buffer, value);
  put_tlv(writer, type, buffer);
}
// Writes one of the reserved types with an arbitrary value.
inline void put_reserved_tlv(ByteWriter& writer, std::uint64_t pick) {
  put_tlv_number(writer, reserved_tlv(pick), static_cast<std::uint16_t>(pick & 0xffff));
}

// Takes the next parameter. What is cut short sets failed() of the reader.
inline Tlv take_tlv(ByteReader& reader) {
  const std::uint16_t type = reader.u16();
  return {type, reader.string16()};
}

// Reads the value as a number; false if its length is not that of T.
template <class T>
bool tlv_number(const Tlv& tlv, T& value) {
  if (tlv.value.size() != sizeof(T)) return false;
  value = load_be<T>(tlv.value.data());
  return true;
}

}  // namespace cproto
