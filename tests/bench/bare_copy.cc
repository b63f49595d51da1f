#include "tests/bench/bare_copy.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <span>
#include <thread>

#include "proto/digest.h"
#include "proto/frame.h"
#include "tests/bench/clock.h"
#include "tests/bench/socket.h"

namespace cproto::bench {

namespace {

constexpr std::size_t kFramePayload = 64 * 1024 - kHeaderSize;
constexpr std::size_t kFramesAtOnce = 16;
// The disk begins to write so many bytes while the next are received.
constexpr std::uint64_t kWriteBack = 8u << 20;

bool read_whole(int fd, std::span<std::uint8_t> into) {
  while (!into.empty()) {
    const ssize_t count = ::read(fd, into.data(), into.size());
    if (count <= 0) return false;
    into = into.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

bool write_whole(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

// Writes what comes, until an ACK frame with the digest; says one byte when all of it is synced and agrees.
class Taker {
 public:
  Taker(int socket, int target, bool with_digest) : socket_(socket), target_(target), with_digest_(with_digest) {}

  void run() {
    Bytes frame(kHeaderSize + kFramePayload);
    while (read_whole(socket_, std::span(frame).first(kHeaderSize))) {
      const FrameHeader header = decode_header(frame.data());
      if (header.payload_size > kFramePayload) return;
      const auto payload = std::span(frame).subspan(kHeaderSize, header.payload_size);
      if (!read_whole(socket_, payload) || frame_checksum(frame.data(), payload.size()) != header.checksum) return;
      if (header.type == FrameType::ack) return end(payload);
      if (!take(payload)) return;
    }
  }

 private:
  bool take(ByteView bytes) {
    if (with_digest_) digest_.update(bytes);
    if (!write_whole(target_, bytes)) return false;
    written_ += bytes.size();
    if (written_ - started_ < kWriteBack) return true;
    ::sync_file_range(target_, static_cast<off_t>(started_), static_cast<off_t>(written_ - started_),
                      SYNC_FILE_RANGE_WRITE);
    started_ = written_;
    return true;
  }

  void end(ByteView digest) const {
    const Digest found = digest_.value();
    if (with_digest_ && !std::equal(found.begin(), found.end(), digest.begin(), digest.end())) return;
    static constexpr std::uint8_t kDone[1] = {1};
    if (::fdatasync(target_) == 0) write_whole(socket_, kDone);
  }

  int socket_;
  int target_;
  bool with_digest_;
  FileDigest digest_;
  std::uint64_t written_ = 0;
  std::uint64_t started_ = 0;  // on their way to the disk
};

bool give(int source, int socket, bool with_digest) {
  FileDigest digest;
  Bytes bytes(kFramePayload * kFramesAtOnce);
  Bytes frames;
  for (;;) {
    const ssize_t count = ::read(source, bytes.data(), bytes.size());
    if (count < 0) return false;
    if (count == 0) break;
    ByteView rest = ByteView(bytes).first(static_cast<std::size_t>(count));
    if (with_digest) digest.update(rest);
    frames.clear();
    for (; !rest.empty(); rest = rest.subspan(std::min(rest.size(), kFramePayload)))
      encode_frame(FrameType::fragment, {}, rest.first(std::min(rest.size(), kFramePayload)), frames);
    if (!write_whole(socket, frames)) return false;
  }
  frames.clear();
  encode_frame(FrameType::ack, {}, digest.value(), frames);
  std::uint8_t done[1];
  return write_whole(socket, frames) && read_whole(socket, done);
}

}  // namespace

std::optional<Duration> bare_copy(const std::string& source, const std::string& target, bool with_digest) {
  const Socket listener = listen_on_loopback(1);
  if (!listener.is_open()) return std::nullopt;
  const Socket to(connect_to(address_of(listener)));
  const Socket from(::accept(listener.fd(), nullptr, nullptr));
  const Socket input(::open(source.c_str(), O_RDONLY | O_CLOEXEC));
  const Instant begin = now();
  const Socket output(::open(target.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!to.is_open() || !from.is_open() || !input.is_open() || !output.is_open()) return std::nullopt;
  std::thread taker([&] {
    Taker(from.fd(), output.fd(), with_digest).run();
    ::shutdown(from.fd(), SHUT_RDWR);
  });
  const bool is_whole = give(input.fd(), to.fd(), with_digest);
  const Instant end = now();
  ::shutdown(to.fd(), SHUT_RDWR);
  taker.join();
  if (!is_whole) return std::nullopt;
  return end - begin;
}

}  // namespace cproto::bench
