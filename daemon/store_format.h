// What every file of the store begins with (STORE.md §1): a magic, the format's version, the program that wrote it, the
// store's id, and a number of the file's own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "proto/bytes.h"
#include "proto/handshake.h"

namespace cproto {

enum class FileFormat : std::uint8_t { store = 1, segment = 2 };

inline constexpr std::size_t kFileHeaderSize = 64;
// The newest format this program knows, and the one it writes. It reads every older one.
inline constexpr std::uint32_t kStoreFormat = 1;

struct FileHeader {
  std::uint32_t format = 0;
  std::string program;  // the version that wrote it
  StoreId store{};
  std::uint64_t number = 0;  // of a segment: its index
  std::uint32_t blocks = 0;  // of a segment: its size
};

// kFileHeaderSize bytes.
Bytes encode_file_header(FileFormat format, const StoreId& store, std::uint64_t number, std::uint32_t blocks);
// nullopt if these bytes are no intact header of such a file. One of a newer format is read as far as all formats
// agree: magic, format, program, and where the checksum is.
std::optional<FileHeader> decode_file_header(FileFormat format, ByteView bytes);

}  // namespace cproto
