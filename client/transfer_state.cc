#include "client/transfer_state.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
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

// mkdir -p; the last one is its owner's alone.
int make_directories(const std::string& path) {
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
    if (::mkdir(path.substr(0, slash).c_str(), 0755) != 0 && errno != EEXIST) return errno;
  return ::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST ? 0 : errno;
}

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
  if (const int error = make_directories(directory)) return error;
  path_ = directory + "/" + name;
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd_ < 0) return errno;
  std::array<std::uint8_t, 8> pid{};
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (::pread(fd_, pid.data(), pid.size(), kPidAt) == static_cast<ssize_t>(pid.size()))
      holder_ = static_cast<pid_t>(load_be<std::uint64_t>(pid.data()));
    close();
    return error;
  }
  // The run before may have removed it between our opening and our lock.
  struct stat here {};
  struct stat there {};
  if (::fstat(fd_, &here) != 0 || ::stat(path_.c_str(), &there) != 0 || here.st_ino != there.st_ino) {
    close();
    return open(directory, name);
  }
  store_be(pid.data(), static_cast<std::uint64_t>(::getpid()));
  return ::pwrite(fd_, pid.data(), pid.size(), kPidAt) < 0 ? errno : 0;
}

void TransferState::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

std::optional<SavedTransfer> TransferState::load() {
  std::optional<SavedTransfer> newest;
  Bytes slot(kSlotSize);
  for (const off_t at : {off_t{0}, off_t{kSlotSize}}) {
    const ssize_t size = ::pread(fd_, slot.data(), slot.size(), at);
    if (size < static_cast<ssize_t>(kHeadSize) || !std::equal(kMagic.begin(), kMagic.end(), slot.begin())) continue;
    const auto generation = load_be<std::uint64_t>(slot.data() + kMagic.size());
    const auto length = load_be<std::uint32_t>(slot.data() + 16);
    if (length > static_cast<std::size_t>(size) - kHeadSize || generation <= generation_) continue;
    const ByteView body = ByteView(slot).subspan(kHeadSize, length);
    if (crc32(crc32(0, ByteView(slot).first(kSummed)), body) != load_be<std::uint32_t>(slot.data() + kSummed)) continue;
    auto transfer = decode_saved_transfer(body);
    if (!transfer) continue;
    generation_ = generation;
    newest = std::move(transfer);
  }
  return newest;
}

int TransferState::save(const SavedTransfer& transfer, bool must_last) {
  if (!is_open()) return EBADF;
  const Bytes body = encode(transfer);
  if (body.size() > kSlotSize - kHeadSize) return EFBIG;
  Bytes slot(kMagic.begin(), kMagic.end());
  ByteWriter writer(slot);
  writer.u64(++generation_);
  writer.u32(static_cast<std::uint32_t>(body.size()));
  writer.u32(crc32(crc32(0, slot), body));
  writer.bytes(body);
  const off_t at = static_cast<off_t>(generation_ % 2 * kSlotSize);
  if (::pwrite(fd_, slot.data(), slot.size(), at) != static_cast<ssize_t>(slot.size())) return errno != 0 ? errno : EIO;
  if (!must_last) return 0;
  if (::fsync(fd_) != 0) return errno;
  // Its name, too.
  const int directory = ::open(path_.substr(0, path_.find_last_of('/')).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return errno;
  const int error = ::fsync(directory) == 0 ? 0 : errno;
  ::close(directory);
  return error;
}

void TransferState::remove() {
  if (!is_open()) return;
  ::unlink(path_.c_str());
  close();
}

}  // namespace cproto::client
