#include "client/transfer_state.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "proto/checksum.h"

namespace cproto::client {

namespace {

constexpr std::array<std::uint8_t, 8> kMagic = {'C', 'P', 'R', 'O', 'T', 'T', 'S', '1'};
constexpr std::size_t kHeadSize = 24;
constexpr std::size_t kSummed = 20;  // of the head
constexpr std::size_t kSlotSize = 64 * 1024;
constexpr std::size_t kPidAt = 2 * kSlotSize;  // who has it, for whom it is in the way
constexpr std::size_t kProblemsMax = 100;
constexpr std::size_t kSentenceMax = 300;

void put_text(ByteWriter& writer, std::string_view text) { writer.string16(as_bytes(text)); }
std::string take_text(ByteReader& reader) { return std::string(as_text(reader.string16())); }

}  // namespace

Bytes encode(const SavedTransfer& transfer) {
  Bytes bytes;
  ByteWriter writer(bytes);
  const Syn::Resume session = transfer.session.value_or(Syn::Resume{});
  writer.id(session.session);
  writer.id(session.store);
  writer.u64(session.acknowledged.value);
  writer.u64(session.acknowledged_bytes);
  writer.u64(session.acknowledged_messages);
  writer.u64(transfer.attempt);
  writer.u64(transfer.refusals_heard.value);
  put_text(writer, transfer.client_id);
  writer.u32(static_cast<std::uint32_t>(transfer.bookmarks.size()));
  for (const Bookmark& mark : transfer.bookmarks) {
    writer.u64(mark.messages);
    writer.u64(mark.bytes);
    writer.string16(mark.place);
  }
  const std::size_t problems = std::min(transfer.problems.size(), kProblemsMax);
  writer.u32(static_cast<std::uint32_t>(problems));
  for (std::size_t i = 0; i < problems; ++i) {
    writer.u8(static_cast<std::uint8_t>(transfer.problems[i].status));
    put_text(writer, transfer.problems[i].sentence.substr(0, kSentenceMax));
  }
  return bytes;
}

std::optional<SavedTransfer> decode_saved_transfer(ByteView bytes) {
  ByteReader reader(bytes);
  SavedTransfer transfer;
  Syn::Resume session;
  session.session = reader.id();
  session.store = reader.id();
  session.acknowledged = {reader.u64()};
  session.acknowledged_bytes = reader.u64();
  session.acknowledged_messages = reader.u64();
  if (session.session != SessionId{}) transfer.session = session;
  transfer.attempt = reader.u64();
  transfer.refusals_heard = {reader.u64()};
  transfer.client_id = take_text(reader);
  for (std::uint32_t left = reader.u32(); left > 0 && !reader.failed(); --left) {
    Bookmark mark{reader.u64(), reader.u64(), {}};
    append(mark.place, reader.string16());
    transfer.bookmarks.push_back(std::move(mark));
  }
  for (std::uint32_t left = reader.u32(); left > 0 && !reader.failed(); --left) {
    const auto status = static_cast<Status>(reader.u8());
    transfer.problems.push_back({status, take_text(reader)});
  }
  if (reader.failed()) return std::nullopt;
  return transfer;
}

int TransferState::open(const std::string& directory, const std::string& name) {
  path_ = directory + "/" + name;
  if (const int error = make_directories(files_, directory)) return error;
  std::unique_ptr<OpenFile> opened;
  refusal_ = files_.open(path_, Files::Access::write_or_create, opened);
  if (refusal_ != 0 && files_.open(path_, Files::Access::read, opened) != 0) return refusal_;
  std::array<std::uint8_t, 8> pid{};
  if (const int error = opened->lock()) {
    if (opened->read(pid, kPidAt) == static_cast<std::ptrdiff_t>(pid.size()))
      holder_ = static_cast<pid_t>(load_be<std::uint64_t>(pid.data()));
    return error;
  }
  // The run before may have removed it between our opening and our lock.
  const std::optional<FileFacts> here = opened->facts();
  if (!here) return errno;
  const std::optional<FileFacts> there = files_.facts_of(path_);
  if (!there && errno != ENOENT) return errno;
  if (!there || here->inode != there->inode) return open(directory, name);
  file_ = std::move(opened);
  is_name_synced_ = false;
  if (refusal_ != 0) return refusal_;
  store_be(pid.data(), static_cast<std::uint64_t>(::getpid()));
  // A disk without room for it may have the entry itself.
  (void)file_->write(pid, kPidAt);
  return 0;
}

bool TransferState::is_there() const {
  if (is_open() || files_.facts_of(path_)) return true;
  return errno != ENOENT && errno != ENOTDIR && errno != EACCES;
}

int TransferState::load(std::optional<SavedTransfer>& saved) {
  if (!is_open()) return 0;
  Bytes slot(kSlotSize);
  for (const std::size_t number : {std::size_t{0}, std::size_t{1}}) {
    const std::ptrdiff_t size = file_->read(slot, number * kSlotSize);
    if (size < 0) return errno;
    if (size < static_cast<std::ptrdiff_t>(kHeadSize) || !std::equal(kMagic.begin(), kMagic.end(), slot.begin()))
      continue;
    const auto generation = load_be<std::uint64_t>(slot.data() + kMagic.size());
    const auto length = load_be<std::uint32_t>(slot.data() + 16);
    if (length > static_cast<std::size_t>(size) - kHeadSize || generation <= generation_) continue;
    const ByteView body = ByteView(slot).subspan(kHeadSize, length);
    if (crc32(crc32(0, ByteView(slot).first(kSummed)), body) != load_be<std::uint32_t>(slot.data() + kSummed)) continue;
    auto transfer = decode_saved_transfer(body);
    if (!transfer) continue;
    generation_ = generation;
    synced_slot_ = number;
    loaded_.assign(slot.begin(), slot.begin() + static_cast<std::ptrdiff_t>(kHeadSize + length));
    saved = std::move(transfer);
  }
  return 0;
}

// It may be in memory only, also where an earlier sync failed: what that could not write, the system calls clean. So it
// is written once more.
int TransferState::keep() {
  if (!is_open()) return EBADF;
  if (refusal_ != 0) return refusal_;
  if (loaded_.empty()) return 0;
  if (const int error = file_->write(loaded_, synced_slot_ * kSlotSize)) return error;
  if (const int error = file_->sync()) return error;
  if (const int error = sync_name()) return error;
  loaded_.clear();
  return 0;
}

int TransferState::save(const SavedTransfer& transfer, bool must_last) {
  // What is written next must not be all there is.
  if (const int error = keep()) return error;
  const Bytes body = encode(transfer);
  if (body.size() > kSlotSize - kHeadSize) return EFBIG;
  Bytes slot(kMagic.begin(), kMagic.end());
  ByteWriter writer(slot);
  writer.u64(++generation_);
  writer.u32(static_cast<std::uint32_t>(body.size()));
  writer.u32(crc32(crc32(0, slot), body));
  writer.bytes(body);
  const std::size_t number = 1 - synced_slot_;
  if (const int error = file_->write(slot, number * kSlotSize)) return error;
  if (!must_last) return 0;
  if (const int error = file_->sync()) return error;
  synced_slot_ = number;
  return sync_name();
}

// The entry's name in its folder stays as it is until it is removed: it is synced once.
int TransferState::sync_name() {
  if (is_name_synced_) return 0;
  const int error = files_.sync_directory(directory_of(path_));
  is_name_synced_ = error == 0;
  return error;
}

int TransferState::remove() {
  if (!is_there()) return 0;
  if (const int error = files_.remove(path_)) return error;
  close();
  return files_.sync_directory(directory_of(path_));
}

}  // namespace cproto::client
