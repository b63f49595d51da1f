// Whatever a server says behind a good handshake, the client's end keeps its invariants: nothing is acknowledged that
// was not sent, what it writes are whole frames, no deadline stands still, a silent peer is given up; and a stream may
// be cut anywhere.
#include <string>
#include <utility>

#include "proto/assert.h"
#include "proto/client_session.h"
#include "tests/fuzz/script.h"
#include "tests/support/frames.h"

using namespace cproto;

namespace {

enum Action : std::uint8_t { kSend, kSendPart, kBegin, kAbandon, kFinish, kPause, kReconnect, kActions };
enum Option : std::uint8_t { kDatagram = 1, kResumes = 2 };
using State = ClientSession::State;

class Run {
 public:
  Run(std::uint8_t options, std::uint8_t cut_seed) : cut_seed_(cut_seed), session_(client_options(options)) {
    attach();
    terms_ = test::some_terms();
    terms_.window_size = 16;
    if (session_.offer().resume) {
      terms_.outcome = SynAck::Outcome::resumed;
      terms_.durable_through = {3};
      terms_.durable_bytes = terms_.durable_messages = 2;
      terms_.unfinished = SynAck::Unfinished{{3}, 0, MessageKind::text};
    }
    receive(test::syn_ack(terms_));
    CPROTO_ASSERT(session_.state() == State::established);
    take_output();
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
    for (int i = 0; i < 100 && session_.next_deadline() != kNever; ++i) {
      now_ = std::max(now_, session_.next_deadline());
      session_.handle_timeout(now_);
      poll();
      take_output();
      CPROTO_ASSERT(session_.next_deadline() > now_);
    }
    CPROTO_ASSERT(session_.next_deadline() == kNever);
  }

  const std::string& story() const { return story_; }

 private:
  static ClientOptions client_options(std::uint8_t options) {
    ClientOptions client;
    client.transport = (options & kDatagram) != 0 ? Transport::datagram : Transport::stream;
    client.sender.transport = client.transport;
    client.sender.unsent_bytes_max = 4096;
    client.sender.retained_bytes_max = 16384;
    client.offer = test::a_syn();
    client.offer.attempt = 0;
    if ((options & kResumes) != 0) client.offer.resume = Syn::Resume{test::session_id(), test::store_id(), {2}, 2, 2};
    return client;
  }

  void attach() {
    session_.attach(now_);
    take_output();
  }

  void receive(ByteView bytes) {
    fuzz::in_pieces(bytes, cut_seed_, [&](ByteView part) {
      const Bytes input(part.begin(), part.end());  // an exact allocation: reading past it is found
      session_.receive(now_, input);
      poll();
    });
  }

  void pass(Duration time) {
    now_ += time;
    if (session_.next_deadline() <= now_) session_.handle_timeout(now_);
    poll();
  }

  void act(std::uint8_t action, std::uint8_t argument) {
    const std::uint8_t which = action % kActions;
    if (which == kReconnect) return reconnect();
    if (which == kFinish) return session_.close(Disconnect::End::finish);
    if (which == kPause) return session_.close(Disconnect::End::pause);
    if (!session_.can_send()) return;
    const Bytes message(argument * 10u, 'x');
    if (which == kSend) session_.send(message, true);
    if (which == kSendPart) session_.send(message, false);
    if (which == kBegin && !session_.in_message()) session_.begin({MessageKind::binary, "images"});
    if (which == kAbandon && session_.in_message()) session_.abandon();
  }

  // The connection breaks; the next one goes on where this one was, or begins anew.
  void reconnect() {
    if (session_.state() == State::closed) return;
    session_.detach();
    poll();
    attach();
    SynAck terms = terms_;
    terms.unfinished.reset();
    if (const auto& resume = session_.offer().resume) {
      terms.outcome = SynAck::Outcome::resumed;
      terms.session = resume->session;
      terms.store = resume->store;
      terms.durable_through = resume->acknowledged;
      terms.durable_bytes = resume->acknowledged_bytes;
      terms.durable_messages = resume->acknowledged_messages;
      terms.max_packet_size = session_.max_packet_size();
    } else {
      terms.outcome = SynAck::Outcome::begun;
      terms.durable_through = {};
      terms.durable_bytes = terms.durable_messages = 0;
    }
    receive(test::syn_ack(terms));
  }

  void poll() {
    while (auto event = session_.poll_event(now_)) on_event(*event);
  }

  void on_event(const ClientEvent& event) {
    if (const auto* acked = std::get_if<client_event::Acked>(&event)) {
      CPROTO_ASSERT(acked->durable_through <= session_.sender().last_pushed());
      story_ += "acked " + std::to_string(acked->durable_through.value);
    } else if (const auto* refused = std::get_if<client_event::Refused>(&event)) {
      CPROTO_ASSERT(refused->refusal.first <= session_.offer().refusals_heard);
      story_ += "refused " + std::to_string(refused->refusal.first.value);
    } else if (const auto* failed = std::get_if<client_event::Failed>(&event)) {
      CPROTO_ASSERT(session_.wants_finish());
      story_ += "failed " + error_name(failed->error.code);
    } else {
      story_ += "event " + std::to_string(event.index());
    }
  }

  void take_output() {
    Bytes out;
    do {
      out.clear();
      session_.take_output(now_, out, 4096);
      test::frames_in(out);  // all whole and intact, or it says so
    } while (!out.empty());
    const Sender& sender = session_.sender();
    CPROTO_ASSERT(sender.durable_through() <= sender.sent_through() && sender.sent_through() <= sender.last_pushed());
  }

  std::uint8_t cut_seed_;
  Instant now_{};
  ClientSession session_;
  SynAck terms_;
  std::string story_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Script script = fuzz::read_script({data, size});
  Run whole(script.options, 0);
  whole.play(script);
  whole.finish();
  if ((script.options & kDatagram) != 0) return 0;
  Run cut(script.options, static_cast<std::uint8_t>(script.options | 1));
  cut.play(script);
  cut.finish();
  CPROTO_ASSERT(cut.story() == whole.story());
  return 0;
}
