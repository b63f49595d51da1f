#include "tests/support/endpoints.h"

#include <utility>

#include "proto/turn.h"

namespace cproto::test {

namespace {

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

std::string text_of(Seq number) { return std::to_string(number.value); }
const char* text_of(Disconnect::End end) { return end == Disconnect::End::finish ? "finish" : "pause"; }

std::string with_error(std::string text, const Error& error, bool is_remote) {
  if (is_remote) text += " by peer";
  return error.code == ErrorCode::none ? text : text + " " + error_name(error.code);
}

// The rest of a turn: events as text, then the output to its end.
template <class Session>
std::string finish_turn(Instant now, Session& session, Bytes& output) {
  std::string text;
  while (const auto event = session.poll_event(now)) {
    if (!text.empty()) text += "; ";
    text += to_text(*event);
  }
  output.clear();
  for (std::size_t before = 1; before != output.size();) {
    before = output.size();
    session.take_output(now, output, kWriteSize);
  }
  return text;
}

}  // namespace

std::string to_text(const ServerEvent& event) {
  using namespace server_event;
  return std::visit(
      Overloaded{[](const Hello&) { return std::string("Hello"); }, [](const Opened&) { return std::string("Opened"); },
                 [](const Received& run) {
                   const Seq last = run.first + (run.count - 1);
                   return "Received " + text_of(run.first) + (run.count > 1 ? "-" + text_of(last) : "");
                 },
                 [](const Skipped& skipped) {
                   const bool decides = skipped.refusal.code != ErrorCode::none;
                   return "Skipped " + text_of(skipped.number) +
                          (decides ? " " + error_name(skipped.refusal.code) : "");
                 },
                 [](const Closing& closing) { return std::string("Closing ") + text_of(closing.end); },
                 [](const Confirmed& confirmed) { return std::string("Confirmed ") + text_of(confirmed.end); },
                 [](const Ended& ended) { return with_error("Ended", ended.error, ended.is_remote); }},
      event);
}

std::string to_text(const ClientEvent& event) {
  using namespace client_event;
  return std::visit(
      Overloaded{[](const Established&) { return std::string("Established"); },
                 [](const Acked& acked) { return "Acked " + text_of(acked.durable_through); },
                 [](const Refused& refused) {
                   return "Refused " + text_of(refused.refusal.first) + " " + error_name(refused.refusal.code);
                 },
                 [](const Pausing&) { return std::string("Pausing"); },
                 [](const Failed& failed) { return with_error("Failed", failed.error, failed.is_remote); },
                 [](const Closed&) { return std::string("Closed"); }},
      event);
}

const char* state_name(ServerSession::State state) {
  switch (state) {
    case ServerSession::State::awaiting_syn: return "awaiting_syn";
    case ServerSession::State::deciding: return "deciding";
    case ServerSession::State::syn_received: return "syn_received";
    case ServerSession::State::established: return "established";
    case ServerSession::State::closing: return "closing";
    case ServerSession::State::confirming: return "confirming";
    case ServerSession::State::closed: return "closed";
  }
  return "?";
}

const char* state_name(ClientSession::State state) {
  switch (state) {
    case ClientSession::State::detached: return "detached";
    case ClientSession::State::connecting: return "connecting";
    case ClientSession::State::established: return "established";
    case ClientSession::State::closing: return "closing";
    case ClientSession::State::closed: return "closed";
  }
  return "?";
}

// --- ServerEnd ---

ServerEnd::ServerEnd(const ServerOptions& options) : session(now, options) {}

std::string ServerEnd::hears(ByteView input) {
  Bytes copy(input.begin(), input.end());
  session.receive(now, copy);
  input_ = std::move(copy);  // the older input goes only now
  return turn();
}

std::string ServerEnd::waits(Duration duration) {
  now += duration;
  if (session.next_deadline() <= now) session.handle_timeout(now);
  return turn();
}

std::string ServerEnd::turn() { return finish_turn(now, session, output); }

Acceptance ServerEnd::an_acceptance() {
  Acceptance acceptance;
  acceptance.terms = some_terms();
  acceptance.window_bytes = 1u << 20;
  return acceptance;
}

void ServerEnd::accept(Acceptance acceptance) {
  hears(syn(a_syn()));
  session.accept(now, acceptance);
  turn();
}

void ServerEnd::reach_established(const Acceptance& acceptance) {
  accept(acceptance);
  hears(confirmation());
}

// --- ClientEnd ---

ClientEnd::ClientEnd(const ClientOptions& options) : session(options) {}

std::string ClientEnd::hears(ByteView input) {
  Bytes copy(input.begin(), input.end());
  session.receive(now, copy);
  input_ = std::move(copy);
  return turn();
}

std::string ClientEnd::waits(Duration duration) {
  now += duration;
  if (session.next_deadline() <= now) session.handle_timeout(now);
  return turn();
}

std::string ClientEnd::turn() { return finish_turn(now, session, output); }

ClientOptions ClientEnd::some_options(Transport transport) {
  ClientOptions options;
  options.transport = options.sender.transport = transport;
  options.offer = a_syn();
  options.offer.attempt = 0;
  return options;
}

void ClientEnd::reach_connecting() {
  session.attach(now);
  turn();
}

void ClientEnd::reach_established(const SynAck& terms) {
  reach_connecting();
  hears(syn_ack(terms));
}

std::string ClientEnd::sends(std::string_view message) {
  session.send(as_bytes(message), true);
  return turn();
}

}  // namespace cproto::test
