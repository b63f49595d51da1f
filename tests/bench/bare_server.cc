#include "tests/bench/bare_server.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <utility>
#include <vector>

#include "proto/frame.h"
#include "tests/bench/append_sync.h"

namespace cproto::bench {

namespace {

constexpr std::uint64_t kFileSize = 256u << 20;
constexpr std::size_t kReadSize = 1u << 20;
constexpr int kBacklog = 4096;

struct Sender {
  Socket socket;
  Bytes begun;  // a frame that has not come whole
  std::uint16_t received = 0;
  bool waits = false;  // for an ACK
};

class BareLoop {
 public:
  BareLoop(const Socket& listener, AppendFile& file, BareServer::Reads reads)
      : listener_(listener), file_(file), reads_(reads), poll_(::epoll_create1(EPOLL_CLOEXEC)), buffer_(kReadSize) {
    listener.set_non_blocking();
    watch(listener.fd(), nullptr);
  }

  // Until a signal, or a disk that fails.
  int run() {
    for (;;) {
      epoll_event events[512];
      const int count = ::epoll_wait(poll_.fd(), events, static_cast<int>(std::size(events)), -1);
      if (count < 0 && errno != EINTR) return trouble("epoll_wait");
      for (int i = 0; i < count; ++i) {
        auto* sender = static_cast<Sender*>(events[i].data.ptr);
        if (sender == nullptr)
          accept_all();
        else if (!read_all(*sender))
          return trouble("a frame");
      }
      if (!commit()) return trouble("fdatasync");
    }
  }

 private:
  static int trouble(const char* what) {
    std::fprintf(stderr, "bare server: %s: %s\n", what, std::strerror(errno));
    return 1;
  }

  void watch(int fd, Sender* sender) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = sender;
    ::epoll_ctl(poll_.fd(), EPOLL_CTL_ADD, fd, &event);
  }

  void accept_all() {
    for (;;) {
      Socket socket(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!socket.is_open()) return;
      socket.set_no_delay();
      senders_.push_back(std::make_unique<Sender>());
      senders_.back()->socket = std::move(socket);
      watch(senders_.back()->socket.fd(), senders_.back().get());
    }
  }

  bool read_all(Sender& sender) {
    do {
      if (!read(sender)) return false;
    } while (more_ && reads_ == BareServer::Reads::all);
    return true;
  }

  // False if a frame does not check.
  bool read(Sender& sender) {
    more_ = false;
    if (buffer_.size() < sender.begun.size() + kReadSize) buffer_.resize(sender.begun.size() + kReadSize);
    std::copy(sender.begun.begin(), sender.begun.end(), buffer_.begin());
    const ssize_t count = ::read(sender.socket.fd(), buffer_.data() + sender.begun.size(), kReadSize);
    if (count < 0 && errno == EAGAIN) return true;
    if (count <= 0) {
      sender.socket = Socket();
      return true;
    }
    more_ = static_cast<std::size_t>(count) == kReadSize;
    const ByteView bytes = ByteView(buffer_).first(sender.begun.size() + static_cast<std::size_t>(count));
    std::size_t used = 0;
    while (const std::size_t size = whole_frame(bytes.subspan(used))) {
      const std::uint8_t* frame = bytes.data() + used;
      if (frame_checksum(frame, size - kHeaderSize) != decode_header(frame).checksum) return false;
      ++sender.received;
      used += size;
    }
    append(batch_, bytes.first(used));
    keep(sender, bytes.subspan(used));
    if (used > 0 && !std::exchange(sender.waits, true)) waiting_.push_back(&sender);
    return true;
  }

  // Its size; 0 if it is not all there.
  static std::size_t whole_frame(ByteView bytes) {
    if (bytes.size() < kHeaderSize) return 0;
    const std::size_t size = kHeaderSize + decode_header(bytes.data()).payload_size;
    return size <= bytes.size() ? size : 0;
  }

  static void keep(Sender& sender, ByteView bytes) {
    if (bytes.empty())
      Bytes().swap(sender.begun);
    else
      sender.begun.assign(bytes.begin(), bytes.end());
  }

  bool commit() {
    if (waiting_.empty()) return true;
    if (!file_.append(batch_)) return false;
    batch_.clear();
    for (Sender* sender : waiting_) {
      std::uint8_t frame[kHeaderSize];
      encode_frame_at(frame, FrameType::ack, WireSeq{sender->received}, {});
      // One that has gone hears nothing; so does one that never reads.
      if (sender->socket.is_open()) static_cast<void>(::send(sender->socket.fd(), frame, sizeof frame, MSG_NOSIGNAL));
      sender->waits = false;
    }
    waiting_.clear();
    return true;
  }

  const Socket& listener_;
  AppendFile& file_;
  BareServer::Reads reads_;
  Socket poll_;  // an epoll descriptor: closed in the same way
  std::vector<std::unique_ptr<Sender>> senders_;
  bool more_ = false;  // may be there: the last read was a full one
  Bytes buffer_;
  Bytes batch_;
  std::vector<Sender*> waiting_;
};

}  // namespace

std::unique_ptr<BareServer> BareServer::start(const std::string& directory, Reads reads) {
  const Socket listener = listen_on_loopback(kBacklog);
  const auto file = AppendFile::make(directory, kFileSize);
  if (!listener.is_open() || file == nullptr) return nullptr;
  auto server = std::make_unique<BareServer>();
  server->address_ = address_of(listener);
  server->child_ = Child::start([&] { return BareLoop(listener, *file, reads).run(); });
  return server->child_ != nullptr ? std::move(server) : nullptr;
}

}  // namespace cproto::bench
