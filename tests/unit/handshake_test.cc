#include "proto/handshake.h"

#include <doctest/doctest.h>

#include <string>

#include "proto/tlv.h"
#include "tests/support/frames.h"

using namespace cproto;
using namespace cproto::test;

namespace {

Syn a_full_syn() {
  Syn syn = a_syn();
  syn.mode = OperationMode::step_by_step;
  syn.attempt = 1ull << 40;
  syn.channel = "web.access";
  syn.kind = MessageKind::binary;
  syn.resume = Syn::Resume{session_id(), store_id(), {70'000}, 123'456, 69'000};
  syn.refusals_heard = {65'000};
  syn.software = "cproto-send 1.2.3";
  return syn;
}

SynAck full_terms() {
  SynAck terms = some_terms();
  terms.mode = OperationMode::step_by_step;
  terms.outcome = SynAck::Outcome::resumed;
  terms.durable_through = {70'000};
  terms.durable_bytes = 123'456;
  terms.durable_messages = 69'000;
  terms.message_size_max = 1u << 26;
  terms.client_id = "anonymous-17";
  terms.unfinished = SynAck::Unfinished{{69'990}, 4'096, MessageKind::file};
  terms.refusals = {{ErrorCode::message_too_large, {66'000}}, {ErrorCode::kind_not_accepted, {67'000}}};
  terms.software = "cprotod 1.2.3";
  return terms;
}

Bytes encoded(const Syn& syn) {
  Bytes out;
  encode_syn(syn, out);
  return out;
}
Bytes encoded(const SynAck& terms) {
  Bytes out;
  encode_syn_ack(terms, out);
  return out;
}

Bytes with_tlv(Bytes payload, std::uint16_t type, std::string_view value) {
  ByteWriter writer(payload);
  put_tlv(writer, type, as_bytes(value));
  return payload;
}

Error error_of_syn(ByteView payload) {
  const auto decoded = decode_syn(payload);
  const Error* error = std::get_if<Error>(&decoded);
  return error != nullptr ? *error : Error{};
}
ErrorCode code_of_syn(ByteView payload) { return error_of_syn(payload).code; }
ErrorCode code_of_terms(ByteView payload) {
  const auto decoded = decode_syn_ack(payload);
  const Error* error = std::get_if<Error>(&decoded);
  return error != nullptr ? error->code : ErrorCode::none;
}

constexpr std::size_t kSynFixed = 20;
constexpr std::size_t kTermsFixed = 88;

}  // namespace

TEST_CASE("handshake: a SYN is read as it was written") {
  const auto decoded = decode_syn(encoded(a_full_syn()));
  const Syn* syn = std::get_if<Syn>(&decoded);
  REQUIRE(syn != nullptr);
  CHECK(syn->version_min == 1);
  CHECK(syn->version_max == 1);
  CHECK(syn->mode == OperationMode::step_by_step);
  CHECK(syn->max_packet_size == 1024);
  CHECK(syn->window_size == 100);
  CHECK(syn->attempt == 1ull << 40);
  CHECK(syn->client_id == "host-1");
  CHECK(syn->channel == "web.access");
  CHECK(syn->kind == MessageKind::binary);
  REQUIRE(syn->resume);
  CHECK(syn->resume->session == session_id());
  CHECK(syn->resume->store == store_id());
  CHECK(syn->resume->acknowledged == Seq{70'000});
  CHECK(syn->resume->acknowledged_bytes == 123'456);
  CHECK(syn->resume->acknowledged_messages == 69'000);
  CHECK(syn->refusals_heard == Seq{65'000});
  CHECK(syn->software == "cproto-send 1.2.3");
}

TEST_CASE("handshake: a SYN may leave the client's id to the server") {
  Syn offer = a_syn();
  offer.client_id.clear();
  const auto decoded = decode_syn(encoded(offer));
  const Syn* syn = std::get_if<Syn>(&decoded);
  REQUIRE(syn != nullptr);
  CHECK(syn->client_id.empty());
  CHECK_FALSE(syn->resume);
}

TEST_CASE("handshake: a SYN cut short anywhere but between parameters is malformed") {
  const Bytes whole = encoded(a_full_syn());
  std::size_t readable = 0;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const ErrorCode code = code_of_syn(ByteView(whole).first(size));
    if (code == ErrorCode::none) ++readable;
    REQUIRE((code == ErrorCode::none || code == ErrorCode::malformed_frame));
    if (size < kSynFixed) REQUIRE(code == ErrorCode::malformed_frame);
  }
  CHECK(readable == 7);  // no parameter, or the first to the sixth of seven
}

TEST_CASE("handshake: every SYN and SYN-ACK carries a reserved parameter") {
  for (std::uint64_t attempt = 0; attempt < 8; ++attempt) {
    Syn offer = a_syn();
    offer.attempt = attempt;
    const Bytes payload = encoded(offer);
    ByteReader reader(ByteView(payload).subspan(kSynFixed));
    bool is_there = false;
    while (!reader.empty()) is_there |= take_tlv(reader).type == reserved_tlv(attempt);
    REQUIRE(is_there);
  }
  const Bytes payload = encoded(some_terms());
  ByteReader reader(ByteView(payload).subspan(kTermsFixed));
  CHECK(take_tlv(reader).type == reserved_tlv(0));
}

TEST_CASE("handshake: an unknown critical parameter is refused by its type, another is passed over") {
  CHECK(code_of_syn(with_tlv(encoded(a_syn()), 0x4321, "whatever")) == ErrorCode::none);
  const Error error = error_of_syn(with_tlv(encoded(a_syn()), 0xc321, "whatever"));
  CHECK(error.code == ErrorCode::unknown_critical_parameter);
  CHECK(error.number == 0xc321);
  CHECK(error.sentence.find("0xc321") != std::string::npos);
  CHECK(code_of_terms(with_tlv(encoded(some_terms()), 0x4321, "whatever")) == ErrorCode::none);
  CHECK(code_of_terms(with_tlv(encoded(some_terms()), 0xc321, "whatever")) == ErrorCode::unknown_critical_parameter);
}

TEST_CASE("handshake: a value outside its own range is refused by name") {
  Syn offer = a_syn();
  std::uint64_t field = 0;
  SUBCASE("mode 0") {
    offer.mode = static_cast<OperationMode>(0);
    field = 2;
  }
  SUBCASE("mode 3") {
    offer.mode = static_cast<OperationMode>(3);
    field = 2;
  }
  SUBCASE("packet 63") {
    offer.max_packet_size = 63;
    field = 4;
  }
  SUBCASE("packet 0") {
    offer.max_packet_size = 0;
    field = 4;
  }
  SUBCASE("window 0") {
    offer.window_size = 0;
    field = 8;
  }
  SUBCASE("window 32768") {
    offer.window_size = 32'768;
    field = 8;
  }
  SUBCASE("window 65535") {
    offer.window_size = 65'535;
    field = 8;
  }
  const Error error = error_of_syn(encoded(offer));
  CHECK(error.code == ErrorCode::bad_parameter);
  CHECK(error.number == field);
}

TEST_CASE("handshake: the ends of each range are within it") {
  Syn offer = a_syn();
  offer.max_packet_size = 64;
  offer.window_size = 1;
  CHECK(code_of_syn(encoded(offer)) == ErrorCode::none);
  offer.max_packet_size = 0xffffffff;
  offer.window_size = 32'767;
  CHECK(code_of_syn(encoded(offer)) == ErrorCode::none);
}

TEST_CASE("handshake: a range of versions without ours is refused, one with ours is not") {
  Syn offer = a_syn();
  offer.version_min = 2;
  offer.version_max = 9;
  CHECK(code_of_syn(encoded(offer)) == ErrorCode::unsupported_version);
  offer.version_min = offer.version_max = 0;
  CHECK(code_of_syn(encoded(offer)) == ErrorCode::unsupported_version);
  offer.version_max = 9;
  CHECK(code_of_syn(encoded(offer)) == ErrorCode::none);
}

TEST_CASE("handshake: names outside the alphabet are refused") {
  using namespace std::string_literals;
  for (const std::string& name : {"../etc"s, "a/b"s, "nul\0byte"s, ".hidden"s, "-flag"s, "sp ace"s, "\xc3\xa4"s,
                                  std::string(65, 'x'), ".."s, "new\nline"s}) {
    Syn offer = a_syn();
    offer.client_id = name;
    REQUIRE(code_of_syn(encoded(offer)) == ErrorCode::bad_client_id);
    offer = a_syn();
    offer.channel = name;
    REQUIRE(code_of_syn(encoded(offer)) == ErrorCode::bad_channel);
  }
  CHECK(code_of_syn(with_tlv(encoded(a_syn()), kTlvClientId, "")) == ErrorCode::bad_client_id);
  Syn offer = a_syn();
  offer.client_id = offer.channel = "Az0._-" + std::string(58, 'x');
  CHECK(code_of_syn(encoded(offer)) == ErrorCode::none);
}

TEST_CASE("handshake: a parameter of the wrong length or value is refused by its type") {
  for (const auto& [type, value] :
       {std::pair{kTlvKind, "ab"}, {kTlvKind, "\x04"}, {kTlvResume, "short"}, {kTlvRefusalsHeard, "1234567"}}) {
    const Error error = error_of_syn(with_tlv(encoded(a_syn()), type, value));
    REQUIRE(error.code == ErrorCode::bad_parameter);
    REQUIRE(error.number == type);
  }
}

TEST_CASE("handshake: a SYN-ACK is read as it was written") {
  const auto decoded = decode_syn_ack(encoded(full_terms()));
  const SynAck* terms = std::get_if<SynAck>(&decoded);
  REQUIRE(terms != nullptr);
  CHECK(terms->version == 1);
  CHECK(terms->mode == OperationMode::step_by_step);
  CHECK(terms->durability == Durability::fsync);
  CHECK(terms->outcome == SynAck::Outcome::resumed);
  CHECK(terms->max_packet_size == 1024);
  CHECK(terms->window_size == 100);
  CHECK(terms->keep_alive_ms == 20'000);
  CHECK(terms->store == store_id());
  CHECK(terms->session == session_id());
  CHECK(terms->durable_through == Seq{70'000});
  CHECK(terms->durable_bytes == 123'456);
  CHECK(terms->durable_messages == 69'000);
  CHECK(terms->limit_number == Seq{100});
  CHECK(terms->limit_bytes == 1u << 20);
  CHECK(terms->message_size_max == 1u << 26);
  CHECK(terms->client_id == "anonymous-17");
  REQUIRE(terms->unfinished);
  CHECK(terms->unfinished->first == Seq{69'990});
  CHECK(terms->unfinished->durable_bytes == 4'096);
  CHECK(terms->unfinished->kind == MessageKind::file);
  CHECK(terms->refusals == full_terms().refusals);
  CHECK(terms->software == "cprotod 1.2.3");
}

TEST_CASE("handshake: as many refusals as may wait fit one SYN-ACK") {
  SynAck terms = full_terms();
  terms.refusals.assign(kRefusalsMax, {ErrorCode::message_too_large, {1}});
  CHECK(encoded(terms).size() <= kHandshakePayloadMax);
}

TEST_CASE("handshake: terms say what is behind an acknowledgement") {
  SynAck terms = some_terms();
  const auto said = [&] { return std::get<SynAck>(decode_syn_ack(encoded(terms))); };
  CHECK(durability_text(said()) == "fsync");
  terms.durability = Durability::replicated;
  terms.replicas_sync = false;
  CHECK(durability_text(said()) == "on 1 server, not synced");
  terms.replicas = 3;
  CHECK(durability_text(said()) == "replicated to 3 servers, not synced");
  terms.replicas_sync = true;
  CHECK(durability_text(said()) == "replicated to 3 servers, synced");
}

TEST_CASE("handshake: what a client requires is met by no less") {
  SynAck synced = some_terms();
  SynAck single = synced;
  single.durability = Durability::replicated;
  single.replicas_sync = false;
  SynAck several = single;
  several.replicas = 3;
  SynAck both = several;
  both.replicas_sync = true;
  for (const SynAck* terms : {&synced, &single, &several, &both}) CHECK(meets(*terms, Require::any));
  CHECK(meets(synced, Require::fsync));
  CHECK_FALSE(meets(single, Require::fsync));
  CHECK_FALSE(meets(several, Require::fsync));
  CHECK(meets(both, Require::fsync));
  CHECK_FALSE(meets(synced, Require::replicated));
  CHECK_FALSE(meets(single, Require::replicated));
  CHECK(meets(several, Require::replicated));
}

TEST_CASE("handshake: a SYN-ACK cut short is malformed") {
  const Bytes whole = encoded(full_terms());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const ErrorCode code = code_of_terms(ByteView(whole).first(size));
    if (size < kTermsFixed) REQUIRE(code == ErrorCode::malformed_frame);
    REQUIRE((code == ErrorCode::none || code == ErrorCode::malformed_frame));
  }
}

TEST_CASE("handshake: terms outside their ranges are refused") {
  SynAck terms = some_terms();
  ErrorCode expected = ErrorCode::malformed_frame;
  SUBCASE("version") {
    terms.version = 2;
    expected = ErrorCode::unsupported_version;
  }
  SUBCASE("mode") { terms.mode = static_cast<OperationMode>(7); }
  SUBCASE("outcome") { terms.outcome = static_cast<SynAck::Outcome>(3); }
  SUBCASE("packet") { terms.max_packet_size = 63; }
  SUBCASE("a packet above 1 MiB") { terms.max_packet_size = (1u << 20) + 1; }
  SUBCASE("durability") { terms.durability = static_cast<Durability>(3); }
  SUBCASE("window 0") { terms.window_size = 0; }
  SUBCASE("window 32768") { terms.window_size = 32'768; }
  SUBCASE("keep-alive") { terms.keep_alive_ms = 0; }
  SUBCASE("assigned client id") {
    terms.client_id = "../up";
    expected = ErrorCode::bad_client_id;
  }
  SUBCASE("replicated to no server") {
    terms.durability = Durability::replicated;
    terms.replicas = 0;
    expected = ErrorCode::bad_parameter;
  }
  SUBCASE("kind of the unfinished message") {
    terms.unfinished = SynAck::Unfinished{{1}, 0, static_cast<MessageKind>(9)};
    expected = ErrorCode::bad_parameter;
  }
  CHECK(code_of_terms(encoded(terms)) == expected);
}

TEST_CASE("handshake: a confirmation is a session's id, and of a close its number, and nothing else") {
  for (const auto& closed_at : {std::optional<Seq>(), std::optional<Seq>(Seq{0}), std::optional<Seq>(Seq{70'000})}) {
    Bytes out;
    encode_confirmation({session_id(), closed_at}, out);
    CHECK(out.size() == (closed_at ? 24 : 16));
    CHECK(decode_confirmation(out) == Confirmation{session_id(), closed_at});
    CHECK_FALSE(decode_confirmation(ByteView(out).first(out.size() - 1)));
    out.push_back(0);
    CHECK_FALSE(decode_confirmation(out));
  }
}
