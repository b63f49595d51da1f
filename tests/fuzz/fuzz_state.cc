// Whatever a file of state holds, an interrupted command finds an earlier run in it or none, and what it found is the
// same when it is saved and read again.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "client/bookmarks.h"
#include "client/file_bookmark.h"
#include "client/log_place.h"
#include "client/posix_files.h"
#include "client/transfer_state.h"
#include "proto/checksum.h"
#include "tests/fuzz/again.h"

using namespace cproto;
using namespace cproto::client;

namespace {

constexpr std::size_t kSlotSize = 64 * 1024;

std::optional<LogPlace> decode_place(ByteView bytes) {
  ByteReader reader(bytes);
  LogPlace place = get_place(reader);
  if (reader.failed()) return std::nullopt;
  return place;
}

template <class Decode>
void check_bytes(ByteView input, Decode decode) {
  fuzz::check_again(input, decode, [](const auto& value, Bytes& out) { out = encode(value); });
}

// A slot whose head fits what is in it.
Bytes slot_of(ByteView body, std::uint8_t generation) {
  Bytes slot;
  append(slot, as_bytes("CPROTTS1"));
  ByteWriter writer(slot);
  writer.u64(generation);
  writer.u32(static_cast<std::uint32_t>(body.size()));
  writer.u32(crc32(crc32(0, slot), body));
  writer.bytes(body);
  return slot;
}

class Folder {
 public:
  Folder() { CPROTO_ASSERT(mkdtemp(path_.data()) != nullptr); }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = std::filesystem::temp_directory_path() / "cproto-fuzz-XXXXXX";
};

// Two slots, the second as it is or with a head that fits.
void write_state(const std::string& path, ByteView first, ByteView second) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << as_text(first);
  out.seekp(kSlotSize);
  out << as_text(second);
}

void check_state(const std::string& folder, ByteView input) {
  ByteReader reader(input);
  const std::uint8_t how = reader.u8();
  const std::size_t half = std::min<std::size_t>(reader.u16(), reader.rest().size());
  const ByteView first = reader.bytes(std::min(half, kSlotSize - 24));
  const ByteView second = reader.rest().first(std::min(reader.rest().size(), kSlotSize - 24));
  write_state(folder + "/state", how % 2 == 0 ? Bytes(first.begin(), first.end()) : slot_of(first, how),
              how / 2 % 2 == 0 ? Bytes(second.begin(), second.end()) : slot_of(second, how / 4));
  PosixFiles files;
  TransferState state(files);
  CPROTO_ASSERT(state.open(folder, "state") == 0);
  std::optional<SavedTransfer> found;
  CPROTO_ASSERT(state.load(found) == 0);
  if (!found) return;
  Bookmarks marks;
  marks.restore(found->bookmarks);
  if (found->session) marks.find(found->session->acknowledged_messages, found->session->acknowledged_bytes);
  if (state.save(*found, false) != 0) return;  // more than a slot takes
  std::optional<SavedTransfer> again;
  CPROTO_ASSERT(state.load(again) == 0);
  CPROTO_ASSERT(!again || encode(*again) == encode(*found));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Folder folder;
  const ByteView input(data, size);
  check_bytes(input, decode_saved_transfer);
  check_bytes(input, decode_file_bookmark);
  fuzz::check_again(input, decode_place, [](const LogPlace& place, Bytes& out) {
    ByteWriter writer(out);
    put_place(writer, place);
  });
  check_state(folder.path(), input);
  return 0;
}
