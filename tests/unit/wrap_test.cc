// The 16 bits of the wire wrap after 65,536 frames. Nobody but the codec's edge may notice.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "proto/client_session.h"
#include "proto/server_session.h"
#include "tests/support/frames.h"

using namespace cproto;
using namespace cproto::test;

namespace {

constexpr std::uint64_t kSpace = 65'536;
#if defined(__SANITIZE_ADDRESS__)
constexpr std::uint64_t kWraps = 20;  // the same code, ten times as slow
#else
constexpr std::uint64_t kWraps = 200;
#endif

// Both sessions and nothing else: what one writes the other reads. Each message is its own number.
class Pair {
 public:
  explicit Pair(std::uint64_t first) : sent_(first), checked_(first) {
    Syn offer = a_syn();
    offer.window_size = kWindowMax;
    ClientOptions options;
    options.offer = offer;
    if (first > 0) options.offer.resume = Syn::Resume{session_id(), store_id(), {first}, first * 8, first};
    client_.emplace(options);
    server_.emplace(now_, ServerOptions{});
    client_->attach(now_);
    to_server();
    SynAck terms = some_terms();
    terms.window_size = kWindowMax;
    if (first > 0) terms.outcome = SynAck::Outcome::resumed;
    terms.durable_through = {first};
    terms.durable_bytes = first * 8;
    terms.durable_messages = first;
    Acceptance acceptance;
    acceptance.terms = terms;
    acceptance.received = {.through = {first}, .bytes = first * 8, .messages = first, .message = {}};
    server_->accept(now_, acceptance);
    to_client();
    to_server();
    REQUIRE(server_->state() == ServerSession::State::established);
  }

  // Sends up to `through` in whole windows, all of it durable at the end.
  void run_through(std::uint64_t through) {
    while (checked_ < through) {
      std::uint8_t payload[8];
      while (sent_ < through && client_->can_send() && sent_ - checked_ < kWindowMax) {
        store_be(payload, ++sent_);
        client_->send(payload, true);
      }
      to_server();
      server_->commit(now_, {checked_}, checked_ * 8, {});
      to_client();
    }
  }

  std::uint64_t checked() const { return checked_; }
  const ClientSession& client() const { return *client_; }
  const ServerSession& server() const { return *server_; }

 private:
  void to_server() {
    bytes_.clear();
    client_->take_output(now_, bytes_, 1u << 20);
    server_->receive(now_, bytes_);
    while (const auto event = server_->poll_event(now_)) {
      REQUIRE_FALSE(std::holds_alternative<server_event::Ended>(*event));
      if (const auto* run = std::get_if<server_event::Received>(&*event)) check(*run);
    }
  }

  void check(const server_event::Received& run) {
    constexpr std::size_t kFrame = kHeaderSize + 8;
    if (run.first.value != checked_ + 1 || run.frames.size() != run.count * kFrame) FAIL("out of order");
    for (std::uint32_t i = 0; i < run.count; ++i)
      if (load_be<std::uint64_t>(run.frames.data() + i * kFrame + kHeaderSize) != ++checked_) FAIL("another message");
  }

  void to_client() {
    bytes_.clear();
    server_->take_output(now_, bytes_, 1u << 20);
    client_->receive(now_, bytes_);
    while (const auto event = client_->poll_event(now_))
      REQUIRE_FALSE(std::holds_alternative<client_event::Failed>(*event));
  }

  Instant now_{};
  std::optional<ClientSession> client_;
  std::optional<ServerSession> server_;
  std::uint64_t sent_;
  std::uint64_t checked_;
  Bytes bytes_;
};

}  // namespace

TEST_CASE("wrap: 200 times around the 16 bits everything arrives once and in order") {
  Pair pair(0);
  pair.run_through(kWraps * kSpace + 100);
  CHECK(pair.checked() == kWraps * kSpace + 100);
  CHECK(pair.client().sender().durable_through() == Seq{kWraps * kSpace + 100});
  CHECK(pair.client().sender().durable_messages() == kWraps * kSpace + 100);
  CHECK(pair.client().sender().in_flight() == 0);
  CHECK(pair.server().duplicates() == 0);
}

TEST_CASE("wrap: a session may be resumed anywhere around a wrap") {
  for (const std::uint64_t wrap : {kSpace, 2 * kSpace, std::uint64_t{1} << 32, std::uint64_t{1} << 48}) {
    for (const std::uint64_t before : {32'769u, 32'768u, 32'767u, 2u, 1u, 0u}) {
      Pair pair(wrap - before);
      pair.run_through(wrap + 5);
      CHECK(pair.client().sender().durable_through() == Seq{wrap + 5});
    }
  }
}

TEST_CASE("wrap: a number is found again at every distance a window and a late frame allow, at every boundary") {
  for (const std::uint64_t wrap : {kSpace, 2 * kSpace, 200 * kSpace, std::uint64_t{1} << 32, std::uint64_t{1} << 63}) {
    for (std::uint64_t received = wrap - 3; received <= wrap + 3; ++received) {
      for (const std::uint64_t window : {1u, 5u, 32'767u}) {
        const Seq top{received + window};
        for (const std::uint64_t ahead : {std::uint64_t{1}, window / 2 + 1, window}) {
          const Seq number{received + ahead};
          REQUIRE(unwrap(to_wire(number), top) == number);
        }
        for (const std::uint64_t late : {std::uint64_t{0}, std::uint64_t{1}, kSpace - window - 1}) {
          if (late >= received) continue;
          const Seq number{received - late};
          REQUIRE(unwrap(to_wire(number), top) == number);
        }
      }
    }
  }
}
