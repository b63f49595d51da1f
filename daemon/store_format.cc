#include "daemon/store_format.h"

#include "proto/checksum.h"

namespace cproto {

namespace {

constexpr std::size_t kProgramSize = 20;
constexpr std::size_t kChecksumAt = 60;

std::uint64_t magic(FileFormat format) {
  switch (format) {
    case FileFormat::store: return 0x4350524f54535430;    // "CPROTST0"
    case FileFormat::segment: return 0x4350524f54534730;  // "CPROTSG0"
  }
  return 0;
}

}  // namespace

// STORE §1: u64 magic, u32 format, 20 bytes program, store id, u64 number, u32 blocks, u32 checksum of the bytes
// before.
Bytes encode_file_header(FileFormat format, const StoreId& store, std::uint64_t number, std::uint32_t blocks) {
  Bytes out;
  ByteWriter writer(out);
  writer.u64(magic(format));
  writer.u32(kStoreFormat);
  std::string program = CPROTO_VERSION;
  program.resize(kProgramSize);
  writer.bytes(as_bytes(program));
  writer.id(store);
  writer.u64(number);
  writer.u32(blocks);
  writer.u32(crc32(0, out));
  return out;
}

std::optional<FileHeader> decode_file_header(FileFormat format, ByteView bytes) {
  if (bytes.size() < kFileHeaderSize) return std::nullopt;
  ByteReader reader(bytes.first(kFileHeaderSize));
  if (reader.u64() != magic(format)) return std::nullopt;
  FileHeader header;
  header.format = reader.u32();
  const std::string_view program = as_text(reader.bytes(kProgramSize));
  header.program = program.substr(0, program.find('\0'));
  header.store = reader.id();
  header.number = reader.u64();
  header.blocks = reader.u32();
  // In every format, so that a damaged header is not taken for a newer one.
  if (reader.u32() != crc32(0, bytes.first(kChecksumAt))) return std::nullopt;
  if (header.format > kStoreFormat) return FileHeader{.format = header.format, .program = header.program, .store = {}};
  return header;
}

}  // namespace cproto
