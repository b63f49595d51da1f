#include "tests/bench/plain_load.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include "tests/bench/clock.h"
#include "tests/bench/memory.h"
#include "tests/bench/socket.h"

namespace cproto::bench {

namespace {

constexpr std::size_t kReadSize = 64 * 1024;
constexpr std::size_t kWriteSizeMax = 256 * 1024;  // what is encoded at once
constexpr int kPollMilliseconds = 200;
// So many handshakes are under way at once: a short queue of connections is not what is measured.
constexpr std::size_t kHandshakesMax = 50;
constexpr Duration kHandshakeTimeout = 30s;
// What a handshake made is given back by then.
constexpr Duration kSettle = 2s;

struct Client {
  Socket socket;
  std::unique_ptr<Protocol> protocol;
  Bytes input;  // the beginning of an answer
  Bytes output;
  std::size_t written = 0;       // of the output
  std::vector<Instant> sent_at;  // of the messages in flight, a ring
  std::uint64_t count = 0;       // to send in all
  std::uint64_t sent = 0;
  std::uint64_t acknowledged = 0;
  bool is_ready = false;
  bool waits_to_write = false;
};

class PlainLoad {
 public:
  explicit PlainLoad(const PlainLoadOptions& options)
      : options_(options), poll_(::epoll_create1(EPOLL_CLOEXEC)), read_buffer_(kReadSize) {
    result_.round_trips.reserve(options.count);
  }

  PlainLoadResult run() {
    const auto memory = static_cast<std::int64_t>(resident_bytes(options_.server_pid));
    clients_.resize(options_.connections);
    for (std::size_t i = 0; i < clients_.size() && result_.trouble.empty(); ++i) open(i);
    await_handshakes(clients_.size());
    if (result_.trouble.empty() && options_.hold > Duration{0}) {
      stay_idle(memory);
    } else if (result_.trouble.empty()) {
      send_all();
    }
    return std::move(result_);
  }

 private:
  void open(std::size_t index) {
    Client& client = clients_[index];
    client.socket = connect_to(options_.server);
    if (!client.socket.is_open()) return fail("connect");
    client.socket.set_non_blocking();
    client.protocol = options_.protocol(index, options_.payload);
    const std::uint64_t count = clients_.size();
    client.count = options_.count / count + (index < options_.count % count ? 1 : 0);
    client.sent_at.resize(std::min<std::uint64_t>(options_.window, std::max<std::uint64_t>(client.count, 1)));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &client;
    ::epoll_ctl(poll_.fd(), EPOLL_CTL_ADD, client.socket.fd(), &event);
    client.protocol->greet(client.output);
    // One that greets with nothing waits for nothing.
    if (client.output.empty()) become_ready(client);
    write(client);
    if (index + 1 > ready_ + kHandshakesMax) await_handshakes(index + 1 - kHandshakesMax);
  }

  void await_handshakes(std::size_t count) {
    const Instant begin = now();
    while (ready_ < count && result_.trouble.empty()) {
      if (now() - begin > kHandshakeTimeout) result_.trouble = "the server does not answer";
      round();
    }
  }

  void send_all() {
    result_.client_cpu = cpu_seconds(::getpid());
    result_.server_cpu = cpu_seconds(options_.server_pid);
    const Instant begin = now();
    for (Client& client : clients_) pump(client);
    while (result_.acknowledged < options_.count && result_.trouble.empty() && now() - begin < options_.time_max) {
      round();
      if (options_.pause > Duration{0}) std::this_thread::sleep_for(options_.pause);
    }
    result_.lasted = now() - begin;
    result_.client_cpu = cpu_seconds(::getpid()) - result_.client_cpu;
    result_.server_cpu = cpu_seconds(options_.server_pid) - result_.server_cpu;
  }

  void stay_idle(std::int64_t memory_before) {
    rounds_until(now() + kSettle);
    const double cpu = cpu_seconds(options_.server_pid);
    rounds_until(now() + options_.hold);
    result_.idle_cpu = cpu_seconds(options_.server_pid) - cpu;
    result_.idle_bytes = static_cast<std::int64_t>(resident_bytes(options_.server_pid)) - memory_before;
  }

  void rounds_until(Instant end) {
    while (now() < end && result_.trouble.empty()) round();
  }

  void round() {
    epoll_event events[256];
    const int count = ::epoll_wait(poll_.fd(), events, static_cast<int>(std::size(events)), kPollMilliseconds);
    for (int i = 0; i < count && result_.trouble.empty(); ++i) {
      Client& client = *static_cast<Client*>(events[i].data.ptr);
      if ((events[i].events & ~std::uint32_t{EPOLLOUT}) != 0) read(client);
      pump(client);
    }
  }

  void read(Client& client) {
    const ssize_t size = ::read(client.socket.fd(), read_buffer_.data(), read_buffer_.size());
    if (size < 0 && errno == EAGAIN) return;
    if (size < 0) return fail("read");
    if (size == 0) return static_cast<void>(result_.trouble = "the server closed the connection");
    const ByteView fresh = ByteView(read_buffer_).first(static_cast<std::size_t>(size));
    if (client.input.empty()) {
      const std::size_t used = hear(client, fresh);
      append(client.input, fresh.subspan(used));
    } else {
      append(client.input, fresh);
      const std::size_t used = hear(client, client.input);
      client.input.erase(client.input.begin(), client.input.begin() + static_cast<std::ptrdiff_t>(used));
    }
  }

  // How many of the bytes were whole answers.
  std::size_t hear(Client& client, ByteView bytes) {
    const Protocol::Heard heard = client.protocol->hear(bytes, client.output);
    if (!heard.trouble.empty()) result_.trouble = heard.trouble;
    if (heard.is_ready && !client.is_ready) become_ready(client);
    const std::uint64_t known = std::min(heard.acknowledged, client.sent - client.acknowledged);
    if (known < heard.acknowledged) result_.trouble = "acknowledged what was not sent";
    const Instant at = now();
    for (std::uint64_t i = 0; i < known; ++i)
      result_.round_trips.push_back(at - client.sent_at[client.acknowledged++ % client.sent_at.size()]);
    result_.acknowledged += known;
    return heard.bytes;
  }

  void become_ready(Client& client) {
    client.is_ready = true;
    ++ready_;
  }

  // As much as the window and the socket take. Messages are sent when all connections are there.
  void pump(Client& client) {
    do {
      encode(client);
      write(client);
    } while (!client.waits_to_write && can_send(client) && result_.trouble.empty());
  }

  bool can_send(const Client& client) const {
    return ready_ == clients_.size() && client.sent < client.count &&
           client.sent - client.acknowledged < client.sent_at.size();
  }

  void encode(Client& client) {
    const Instant at = now();
    while (can_send(client) && client.output.size() - client.written < kWriteSizeMax) {
      client.protocol->message(client.output);
      client.sent_at[client.sent++ % client.sent_at.size()] = at;
    }
  }

  void write(Client& client) {
    while (client.written < client.output.size()) {
      const ssize_t size = ::send(client.socket.fd(), client.output.data() + client.written,
                                  client.output.size() - client.written, MSG_NOSIGNAL);
      if (size < 0 && errno != EAGAIN) return fail("send");
      if (size < 0) return wait_to_write(client, true);
      client.written += static_cast<std::size_t>(size);
    }
    client.output.clear();
    client.written = 0;
    wait_to_write(client, false);
  }

  void wait_to_write(Client& client, bool waits) {
    if (std::exchange(client.waits_to_write, waits) == waits) return;
    epoll_event event{};
    event.events = EPOLLIN | (waits ? EPOLLOUT : 0u);
    event.data.ptr = &client;
    ::epoll_ctl(poll_.fd(), EPOLL_CTL_MOD, client.socket.fd(), &event);
  }

  void fail(const char* call) { result_.trouble = std::string(call) + ": " + std::strerror(errno); }

  const PlainLoadOptions& options_;
  Socket poll_;  // an epoll descriptor: closed in the same way
  Bytes read_buffer_;
  std::vector<Client> clients_;
  std::size_t ready_ = 0;
  PlainLoadResult result_;
};

}  // namespace

PlainLoadResult run_plain_load(const PlainLoadOptions& options) { return PlainLoad(options).run(); }

}  // namespace cproto::bench
