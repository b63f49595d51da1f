// cproto-bad-link NAMESPACE NAMESPACE [FAULT=VALUE]...
//
// A link between two network namespaces that treats packets badly, or as a long way does, alike in both directions. It
// makes a TUN device "bad0" in each, says "up" and carries packets between them until it is killed. On SIGUSR1 it says
// what it has done so far, a line of counts.
//
//   rate_mbit=N    no more than so much a second; 0: as much as comes
//   queue_kb=N     what waits for its turn at that rate, at most: a packet that finds it full is lost. 0: any number
//   delay_ms=N     each packet is late by so much
//   jitter_ms=N    and by up to so much more, drawn for each: this alone reorders
//   lose=P         percent of packets that vanish
//   lose_back=P    the same, of those from the second network to the first alone
//   repeat=P       that arrive twice
//   reorder=P      that are not late at all, and so overtake others
//   damage=P       with one bit flipped somewhere: TCP's checksum finds it
//   rewrite=P      with one bit of a TCP payload flipped and the checksum made to agree: only cproto's own can find it
//   seed=N         of all that is drawn
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

#include "proto/bytes.h"
#include "proto/random.h"

namespace cproto {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr int kUsage = 64;
constexpr int kNoPermission = 77;
constexpr char kDeviceName[] = "bad0";
constexpr std::size_t kPacketMax = 65'536;
constexpr std::size_t kPacketsQueued = 100'000;  // what comes behind them is lost
constexpr int kPacketsPerTurn = 64;              // of one direction, before the other
constexpr std::uint8_t kTcp = 6;

// --- what is asked for, and what was done ---

using Faults = std::map<std::string, double, std::less<>>;

const Faults kNoFaults = {{"rate_mbit", 0}, {"queue_kb", 0},  {"delay_ms", 0}, {"jitter_ms", 0},
                          {"lose", 0},      {"lose_back", 0}, {"repeat", 0},   {"reorder", 0},
                          {"damage", 0},    {"rewrite", 0},   {"seed", 1}};

// False if it is none.
bool read_fault(std::string_view word, Faults& faults) {
  const std::size_t equals = word.find('=');
  if (equals == std::string_view::npos) return false;
  const auto fault = faults.find(word.substr(0, equals));
  if (fault == faults.end()) return false;
  const std::string value(word.substr(equals + 1));
  char* end = nullptr;
  fault->second = std::strtod(value.c_str(), &end);
  return !value.empty() && *end == '\0' && fault->second >= 0;
}

struct Counts {
  std::uint64_t carried = 0;
  std::uint64_t lost = 0;
  std::uint64_t overflowed = 0;  // no room where they wait for their turn
  std::uint64_t repeated = 0;
  std::uint64_t reordered = 0;
  std::uint64_t damaged = 0;
  std::uint64_t rewritten = 0;
};

// --- packets ---

// RFC 1624: the one's complement checksum after one 16-bit word under it has changed.
std::uint16_t adjusted(std::uint16_t checksum, std::uint16_t before, std::uint16_t after) {
  std::uint32_t sum =
      static_cast<std::uint16_t>(~checksum) + static_cast<std::uint32_t>(static_cast<std::uint16_t>(~before)) + after;
  sum = (sum & 0xFFFFu) + (sum >> 16);
  sum = (sum & 0xFFFFu) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

// Where the payload of a TCP segment over IPv4 begins; nullopt if the packet is none, or has none.
std::optional<std::size_t> payload_of(ByteView packet, std::size_t& tcp) {
  if (packet.size() < 40 || packet[0] >> 4 != 4 || packet[9] != kTcp) return std::nullopt;
  tcp = static_cast<std::size_t>(packet[0] & 15) * 4;
  if (packet.size() < tcp + 20) return std::nullopt;
  const std::size_t payload = tcp + static_cast<std::size_t>(packet[tcp + 12] >> 4) * 4;
  return payload < packet.size() ? std::optional(payload) : std::nullopt;
}

void flip_bit(Random& random, std::uint8_t& byte) { byte = static_cast<std::uint8_t>(byte ^ (1u << random.below(8))); }

// A bit of the payload, so that no checksum below cproto's tells. False if there is no payload.
bool rewrite(Random& random, Bytes& packet) {
  std::size_t tcp = 0;
  const auto payload = payload_of(packet, tcp);
  if (!payload) return false;
  const std::size_t at = *payload + random.below(packet.size() - *payload);
  // The word it is in, counted from the header's beginning; one behind the end counts as 0.
  const std::size_t word = at - (at - tcp) % 2;
  const auto value = [&] {
    return static_cast<std::uint16_t>(packet[word] << 8 | (word + 1 < packet.size() ? packet[word + 1] : 0));
  };
  const std::uint16_t before = value();
  flip_bit(random, packet[at]);
  store_be(&packet[tcp + 16], adjusted(load_be<std::uint16_t>(&packet[tcp + 16]), before, value()));
  return true;
}

struct Waiting {
  SteadyTime due;
  std::uint64_t order = 0;  // those due at once go as they came
  int to = 0;
  Bytes packet;
  bool operator<(const Waiting& other) const { return due != other.due ? due > other.due : order > other.order; }
};

// --- the link ---

class Link {
 public:
  Link(const Faults& faults, std::array<int, 2> ends)
      : faults_(faults), ends_(ends), random_(static_cast<std::uint64_t>(faults.at("seed"))) {}

  // One round: waits for a packet or for the next that is due.
  void turn() {
    std::array<pollfd, 2> ready{pollfd{ends_[0], POLLIN, 0}, pollfd{ends_[1], POLLIN, 0}};
    const timespec wait = until_next();
    ::ppoll(ready.data(), ready.size(), &wait, nullptr);
    for (int from = 0; from < 2; ++from) take_from(from);
    deliver();
  }

  void say() const {
    std::printf("carried=%ju lost=%ju overflowed=%ju repeated=%ju reordered=%ju damaged=%ju rewritten=%ju\n",
                std::uintmax_t{counts_.carried}, std::uintmax_t{counts_.lost}, std::uintmax_t{counts_.overflowed},
                std::uintmax_t{counts_.repeated}, std::uintmax_t{counts_.reordered}, std::uintmax_t{counts_.damaged},
                std::uintmax_t{counts_.rewritten});
    std::fflush(stdout);
  }

 private:
  bool draws(std::string_view fault) { return random_.chance(faults_.find(fault)->second); }

  static std::chrono::nanoseconds milliseconds(double count) {
    return std::chrono::nanoseconds(static_cast<std::int64_t>(count * 1e6));
  }

  std::chrono::nanoseconds drawn_delay() {
    const auto jitter = static_cast<std::uint64_t>(faults_.at("jitter_ms") * 1000);
    return milliseconds(faults_.at("delay_ms") + static_cast<double>(random_.below(jitter + 1)) / 1000);
  }

  timespec until_next() const {
    if (waiting_.empty()) return {1, 0};
    const auto left = std::max(waiting_.top().due - std::chrono::steady_clock::now(), std::chrono::nanoseconds(0));
    const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
    return {static_cast<time_t>(nanoseconds / 1'000'000'000), static_cast<long>(nanoseconds % 1'000'000'000)};
  }

  void take_from(int from) {
    for (int i = 0; i < kPacketsPerTurn; ++i) {
      const ssize_t size = ::read(ends_[static_cast<std::size_t>(from)], read_.data(), read_.size());
      if (size <= 0) return;
      treat(1 - from, Bytes(read_.begin(), read_.begin() + size));
    }
  }

  void treat(int to, Bytes packet) {
    if (waiting_.size() >= kPacketsQueued || draws("lose") || (to == 0 && draws("lose_back"))) {
      ++counts_.lost;
      return;
    }
    if (draws("damage")) {
      flip_bit(random_, packet[random_.below(packet.size())]);
      ++counts_.damaged;
    }
    if (draws("rewrite") && rewrite(random_, packet)) ++counts_.rewritten;
    const bool overtakes = draws("reorder");
    if (overtakes) ++counts_.reordered;
    if (draws("repeat")) {
      ++counts_.repeated;
      hold(to, packet, overtakes);
    }
    hold(to, std::move(packet), overtakes);
  }

  void hold(int to, Bytes packet, bool overtakes) {
    const auto leaves = leave(to, packet.size());
    if (!leaves) {
      ++counts_.overflowed;
      return;
    }
    waiting_.push({overtakes ? *leaves : *leaves + drawn_delay(), order_++, to, std::move(packet)});
  }

  // When the last bit of it will be out, behind all that came before it. nullopt: there is no room to wait.
  std::optional<SteadyTime> leave(int to, std::size_t bytes) {
    const SteadyTime now = std::chrono::steady_clock::now();
    const double rate = faults_.at("rate_mbit") * 1e6 / 8;  // bytes a second
    if (rate == 0) return now;
    SteadyTime& free_at = free_at_[static_cast<std::size_t>(to)];
    free_at = std::max(free_at, now);
    const double queue = faults_.at("queue_kb") * 1000;
    const double waiting = std::chrono::duration<double>(free_at - now).count() * rate;
    if (queue > 0 && waiting + static_cast<double>(bytes) > queue) return std::nullopt;
    return free_at += milliseconds(static_cast<double>(bytes) / rate * 1000);
  }

  // A device whose queue is full loses the packet, as any network does.
  void deliver() {
    const SteadyTime now = std::chrono::steady_clock::now();
    while (!waiting_.empty() && waiting_.top().due <= now) {
      const Waiting& next = waiting_.top();
      const ssize_t size = ::write(ends_[static_cast<std::size_t>(next.to)], next.packet.data(), next.packet.size());
      ++(size < 0 ? counts_.lost : counts_.carried);
      waiting_.pop();
    }
  }

  const Faults& faults_;
  std::array<int, 2> ends_;
  Random random_;
  Counts counts_;
  Bytes read_ = Bytes(kPacketMax);
  std::array<SteadyTime, 2> free_at_{};  // at the rate: what was taken so far is out by then, by where it goes
  std::priority_queue<Waiting> waiting_;
  std::uint64_t order_ = 0;
};

// A TUN device in the network namespace of that name. -1, with errno, if there can be none.
int device_in(const std::string& network) {
  const int home = ::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  const int there = ::open(("/run/netns/" + network).c_str(), O_RDONLY | O_CLOEXEC);
  if (home < 0 || there < 0 || ::setns(there, CLONE_NEWNET) != 0) return -1;
  const int device = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  std::copy(std::begin(kDeviceName), std::end(kDeviceName), request.ifr_name);
  if (device < 0 || ::ioctl(device, TUNSETIFF, &request) != 0 || ::setns(home, CLONE_NEWNET) != 0) return -1;
  ::close(home);
  ::close(there);
  return device;
}

volatile std::sig_atomic_t must_say = 0;

int run(const std::vector<std::string>& words) {
  Faults faults = kNoFaults;
  for (std::size_t i = 2; i < words.size(); ++i) {
    if (read_fault(words[i], faults)) continue;
    std::fprintf(stderr, "cproto-bad-link: no fault: %s\n", words[i].c_str());
    return kUsage;
  }
  std::array<int, 2> ends{};
  for (std::size_t i = 0; i < ends.size(); ++i) {
    ends[i] = device_in(words[i]);
    if (ends[i] >= 0) continue;
    std::fprintf(stderr, "cproto-bad-link: %s: %s\n", words[i].c_str(), std::strerror(errno));
    return kNoPermission;
  }
  // Timers may be late by 50 µs by default, which is half of what a packet takes at 100 Mbit/s.
  ::prctl(PR_SET_TIMERSLACK, 1000UL);
  std::signal(SIGUSR1, [](int) { must_say = 1; });
  std::puts("up");
  std::fflush(stdout);
  Link link(faults, ends);
  while (true) {
    link.turn();
    if (must_say == 0) continue;
    must_say = 0;
    link.say();
  }
}

}  // namespace
}  // namespace cproto

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: cproto-bad-link NAMESPACE NAMESPACE [FAULT=VALUE]...\n", stderr);
    return cproto::kUsage;
  }
  return cproto::run({argv + 1, argv + argc});
}
