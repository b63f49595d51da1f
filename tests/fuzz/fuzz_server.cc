// Whatever a client says behind a good handshake, the server's end keeps its invariants: numbers come one by one, what
// it writes are whole frames, no deadline stands still, a silent peer is given up; and a stream may be cut anywhere.
#include <string>
#include <utility>

#include "proto/assert.h"
#include "proto/server_session.h"
#include "tests/fuzz/script.h"
#include "tests/support/frames.h"

using namespace cproto;

namespace {

enum Action : std::uint8_t { kCommit, kSettle, kPause, kReading, kEnd, kActions };
constexpr std::size_t kOutputMax = 16 * 1024;  // of one turn: nothing may pile up

class Run {
 public:
  Run(Transport transport, std::uint8_t cut_seed)
      : cut_seed_(cut_seed), session_(now_, {.transport = transport, .handshake_timeout = 10s, .keep_alive = 20s}) {
    receive(test::syn(test::a_syn()));
    Acceptance acceptance;
    acceptance.terms = test::some_terms();
    acceptance.terms.window_size = 16;
    acceptance.terms.message_size_max = 40;
    acceptance.window_bytes = 2048;
    session_.accept(now_, acceptance);
    take_output();
    receive(test::confirmation());
    CPROTO_ASSERT(session_.state() == ServerSession::State::established);
  }

  void play(const fuzz::Script& script) {
    for (const fuzz::Step& step : script.steps) {
      switch (step.kind) {
        case fuzz::Step::Kind::input: receive(step.input); break;
        case fuzz::Step::Kind::time: pass(step.time); break;
        case fuzz::Step::Kind::act: act(step.action, step.argument); break;
      }
      take_output();
    }
  }

  // Nothing is said any more: three intervals of silence are the end.
  void finish() {
    session_.set_reading(true);
    for (int i = 0; i < 10 && session_.next_deadline() != kNever; ++i) {
      now_ = std::max(now_, session_.next_deadline());
      session_.handle_timeout(now_);
      poll();
      take_output();
      CPROTO_ASSERT(session_.next_deadline() > now_);
    }
    CPROTO_ASSERT(session_.state() == ServerSession::State::closed);
  }

  const std::string& story() const { return story_; }

 private:
  void receive(ByteView bytes) {
    fuzz::in_pieces(bytes, cut_seed_, [&](ByteView part) {
      Bytes input(part.begin(), part.end());  // an exact allocation: reading past it is found
      session_.receive(now_, input);
      input_ = std::move(input);  // the older one goes only now
      poll();
    });
  }

  void pass(Duration time) {
    now_ += time;
    if (session_.next_deadline() <= now_) session_.handle_timeout(now_);
    poll();
  }

  void act(std::uint8_t action, std::uint8_t argument) {
    switch (action % kActions) {
      case kCommit: session_.commit(now_, at_.through, at_.bytes, std::exchange(refusals_, {})); break;
      case kSettle:
        if (std::exchange(is_closing_, false)) session_.settle_close(now_);
        break;
      case kPause: session_.pause(Duration(1ms) * argument); break;
      case kReading: session_.set_reading(argument % 2 == 0); break;
      case kEnd: session_.receive_end(now_); break;
    }
    poll();
  }

  void poll() {
    while (auto event = session_.poll_event(now_)) on_event(*event);
  }

  void on_event(const ServerEvent& event) {
    if (const auto* run = std::get_if<server_event::Received>(&event)) {
      CPROTO_ASSERT(run->first == at_.through.next() && run->count > 0);
      CPROTO_ASSERT(test::frames_in(run->frames).size() == run->count);
      move_to(run->after, run->count, run->payload_bytes);
      story_ += as_text(run->frames);
    } else if (const auto* skipped = std::get_if<server_event::Skipped>(&event)) {
      CPROTO_ASSERT(skipped->number == at_.through.next());
      move_to(skipped->after, 1, skipped->payload_bytes);
      if (skipped->refusal.code != ErrorCode::none) refusals_.push_back(skipped->refusal);
      story_ += "skipped " + std::to_string(skipped->number.value);
    } else if (const auto* ended = std::get_if<server_event::Ended>(&event)) {
      CPROTO_ASSERT(session_.wants_finish());
      story_ += "ended " + error_name(ended->error.code);
    } else if (std::holds_alternative<server_event::Closing>(event)) {
      is_closing_ = true;
    }
  }

  void move_to(const Position& position, std::uint64_t count, std::uint64_t bytes) {
    CPROTO_ASSERT(position.through == at_.through + count && position.bytes == at_.bytes + bytes);
    at_ = position;
  }

  void take_output() {
    Bytes out;
    session_.take_output(now_, out, kOutputMax);
    CPROTO_ASSERT(out.size() <= kOutputMax);
    test::frames_in(out);  // all whole and intact, or it says so
    if (session_.state() != ServerSession::State::closing) is_closing_ = false;
  }

  std::uint8_t cut_seed_;
  Instant now_{};
  ServerSession session_;
  Bytes input_;
  Position at_;
  std::vector<Refusal> refusals_;
  bool is_closing_ = false;
  std::string story_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Script script = fuzz::read_script({data, size});
  const Transport transport = script.options % 2 == 0 ? Transport::stream : Transport::datagram;
  Run whole(transport, 0);
  whole.play(script);
  whole.finish();
  if (transport == Transport::datagram) return 0;
  Run cut(transport, static_cast<std::uint8_t>(script.options | 1));
  cut.play(script);
  cut.finish();
  CPROTO_ASSERT(cut.story() == whole.story());
  return 0;
}
