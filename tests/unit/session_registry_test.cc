#include "daemon/session_registry.h"

#include <doctest/doctest.h>

#include <string>

#include "tests/support/frames.h"

using namespace cproto;
using namespace cproto::test;

namespace {

struct Holder final : SessionHolder {
  void on_delivered() override {}
  void on_message_refused(const Refusal&) override {}
  void on_admitted(std::variant<Admission, Error>) override {}
  void on_committed() override {}
  void on_superseded() override { ++superseded; }
  void on_trouble(const Error&) override {}
  void on_kicked() override {}
  ConnectionView view() override { return {}; }
  int superseded = 0;
};

// A registry, with what its answers mean in one word or an entry.
struct RegistryEnd {
  explicit RegistryEnd(RegistryOptions changed = {}) : registry(with_store(changed), [this] { return id_of(++ids); }) {}
  static RegistryOptions with_store(RegistryOptions options) {
    options.store = store_id();
    return options;
  }
  // The error's name; empty if it was granted, and then `admission` says what.
  std::string admit(const Syn& syn, Holder& by) {
    auto answer = registry.admit(syn, by);
    if (const Error* error = std::get_if<Error>(&answer)) return error_name(error->code);
    admission = std::get<Admission>(answer);
    return {};
  }
  // A new session, of which numbers up to `through` are durable.
  SessionEntry& begin(std::uint64_t through, const std::string& client = "host-1") {
    Syn syn = a_syn();
    syn.client_id = client;
    REQUIRE(admit(syn, holder).empty());
    SessionEntry& entry = *admission.entry;
    entry.appended.through = entry.flying.through = entry.durable.through = {through};
    entry.record_batch = through > 0 ? 1 : 0;
    return entry;
  }
  static Syn resuming(const SessionEntry& entry, std::uint64_t acknowledged, std::uint64_t attempt = 2) {
    Syn syn = a_syn();
    syn.client_id = entry.client_id;
    syn.attempt = attempt;
    syn.resume = Syn::Resume{entry.id, store_id(), {acknowledged}, acknowledged, acknowledged};
    return syn;
  }
  std::uint8_t ids = 0;
  SessionRegistry registry;
  Admission admission;
  Holder holder, second;
};

}  // namespace

TEST_CASE("session_registry: a session that begins has its own index and id, and nothing durable") {
  RegistryEnd end;
  const SessionEntry& one = end.begin(0);
  const SessionEntry& other = end.begin(0, "host-2");
  CHECK(one.index != other.index);
  CHECK(one.id != other.id);
  CHECK(end.admission.terms.outcome == SynAck::Outcome::begun);
  CHECK(end.admission.terms.session == other.id);
  CHECK(end.admission.terms.store == store_id());
  CHECK(end.admission.terms.durable_through == Seq{0});
}

TEST_CASE("session_registry: the smaller side's limits win") {
  RegistryOptions options;
  options.max_packet_size = 2'000;
  options.window_size = 50;
  RegistryEnd end(options);
  Syn syn = a_syn();
  syn.max_packet_size = 4'000;
  REQUIRE(end.admit(syn, end.holder).empty());
  CHECK(end.admission.terms.max_packet_size == 2'000);
  CHECK(end.admission.terms.window_size == 50);
  syn.mode = OperationMode::step_by_step;
  syn.max_packet_size = 1'000;
  REQUIRE(end.admit(syn, end.holder).empty());
  CHECK(end.admission.terms.max_packet_size == 1'000);
  CHECK(end.admission.terms.window_size == 1);
}

TEST_CASE("session_registry: a client without a name is given one") {
  RegistryEnd end;
  Syn syn = a_syn();
  syn.client_id.clear();
  REQUIRE(end.admit(syn, end.holder).empty());
  CHECK(is_valid_name(end.admission.terms.client_id));
  CHECK(end.admission.terms.client_id == end.admission.entry->client_id);
}

TEST_CASE("session_registry: a resume finds its session where it stands") {
  RegistryEnd end;
  SessionEntry& entry = end.begin(5);
  end.registry.release(entry, end.holder);
  entry.durable.bytes = 500;
  entry.durable.message = {true, false, MessageKind::text, {5}, 100};
  REQUIRE(end.admit(end.resuming(entry, 3), end.second).empty());
  CHECK(end.admission.entry == &entry);
  CHECK(end.admission.terms.outcome == SynAck::Outcome::resumed);
  CHECK(end.admission.terms.durable_through == Seq{5});
  CHECK(end.admission.terms.durable_bytes == 500);
  REQUIRE(end.admission.terms.unfinished);
  CHECK(end.admission.terms.unfinished->first == Seq{5});
  CHECK(end.holder.superseded == 0);
}

TEST_CASE("session_registry: whoever has the session when a newer connection resumes it is told so, once") {
  RegistryEnd end;
  SessionEntry& entry = end.begin(5);
  REQUIRE(end.admit(end.resuming(entry, 5), end.second).empty());
  CHECK(end.holder.superseded == 1);
  end.registry.release(entry, end.holder);  // too late: it is not its own any more
  CHECK(entry.holder == &end.second);
}

TEST_CASE("session_registry: an attempt that is not newer is refused, and takes nothing over") {
  RegistryEnd end;
  SessionEntry& entry = end.begin(5);
  for (const std::uint64_t attempt : {0u, 1u})
    CHECK(end.admit(end.resuming(entry, 5, attempt), end.second) == "stale_attempt");
  CHECK(entry.holder == &end.holder);
  CHECK(end.holder.superseded == 0);
}

TEST_CASE("session_registry: three ways of not being what it was are told apart") {
  RegistryEnd end;
  SessionEntry& entry = end.begin(5);
  Syn syn = end.resuming(entry, 5);
  std::string expected;
  SUBCASE("another store") {
    syn.resume->store = id_of(0x99);
    expected = "other_store";
  }
  SUBCASE("a session that is not known") {
    syn.resume->session = id_of(0x99);
    expected = "unknown_session";
  }
  SUBCASE("another client's session") {
    syn.client_id = "thief";
    expected = "unknown_session";
  }
  SUBCASE("a store that is behind") {
    syn.resume->acknowledged = {6};
    expected = "store_behind";
  }
  CHECK(end.admit(syn, end.second) == expected);
  CHECK(entry.holder == &end.holder);
}

TEST_CASE("session_registry: where nothing was acknowledged a session that is not known can begin again") {
  RegistryEnd end;
  SessionEntry& entry = end.begin(5);
  Syn syn = end.resuming(entry, 0);
  SUBCASE("another store") { syn.resume->store = id_of(0x99); }
  SUBCASE("a session that is not known") { syn.resume->session = id_of(0x99); }
  CHECK(end.admit(syn, end.second) == "unknown_session");
}

TEST_CASE("session_registry: where it is allowed an unknown session goes on under a new id behind its number") {
  RegistryOptions options;
  options.restart_unknown = true;
  RegistryEnd end(options);
  SessionEntry& entry = end.begin(5);
  Syn syn = end.resuming(entry, 8);
  syn.resume->session = id_of(0x99);
  REQUIRE(end.admit(syn, end.second).empty());
  CHECK(end.admission.was_restarted);
  CHECK(end.admission.terms.outcome == SynAck::Outcome::restarted);
  CHECK(end.admission.terms.durable_through == Seq{8});
  CHECK(end.admission.entry != &entry);
}

TEST_CASE("session_registry: what claims to be further than anybody can have come is never begun again") {
  RegistryOptions options;
  options.restart_unknown = true;
  RegistryEnd end(options);
  Syn syn = end.resuming(end.begin(5), 8);
  syn.resume->session = id_of(0x99);
  SUBCASE("in numbers") { syn.resume->acknowledged = {~std::uint64_t{0}}; }
  SUBCASE("in bytes") { syn.resume->acknowledged_bytes = ~std::uint64_t{0}; }
  SUBCASE("in messages") { syn.resume->acknowledged_messages = ~std::uint64_t{0}; }
  CHECK(end.admit(syn, end.second) == "unknown_session");
}

TEST_CASE("session_registry: refusals are told until they were heard, and none that is not durable") {
  RegistryEnd end;
  SessionEntry& entry = end.begin(9);
  const Refusal heard{ErrorCode::message_too_large, {2}};
  const Refusal unheard{ErrorCode::message_too_large, {5}};
  const Refusal flying{ErrorCode::message_too_large, {8}};
  entry.refusals = {{heard}, {unheard}, {flying, RecordedRefusal::Stage::flying}};
  Syn syn = end.resuming(entry, 5);
  syn.refusals_heard = {2};
  REQUIRE(end.admit(syn, end.second).empty());
  CHECK(end.admission.terms.refusals == std::vector<Refusal>{unheard});
}

TEST_CASE("session_registry: a session goes with its connection if nothing of it was recorded") {
  RegistryEnd end;
  SessionEntry& kept = end.begin(5);
  SessionEntry& gone = end.begin(0, "host-2");
  const std::uint64_t index = gone.index;
  end.registry.release(gone, end.holder);
  end.registry.release(kept, end.holder);
  CHECK(end.registry.find(index) == nullptr);
  CHECK(end.registry.find(kept.index) == &kept);
}

TEST_CASE("session_registry: a session that was forgotten is found by its index until it is purged") {
  RegistryEnd end;
  SessionEntry& entry = end.begin(5);
  const std::uint64_t index = entry.index;
  end.registry.forget(entry);
  CHECK(end.registry.find(index) == &entry);
  CHECK(end.admit(end.resuming(entry, 5), end.second) == "unknown_session");
  end.registry.purge(index);
  CHECK(end.registry.find(index) == nullptr);
  end.registry.purge(index);
}

TEST_CASE("session_registry: an index that a record speaks of is given to nobody") {
  RegistryEnd end;
  end.registry.reserve(41);
  CHECK(end.begin(0).index == 42);
}

TEST_CASE("session_registry: a session is restored from its record") {
  RegistryEnd end;
  SessionEntry& entry = end.begin(5);
  const SessionRecord record = to_record(entry);
  RegistryEnd next;
  SessionEntry& restored = next.registry.restore(7, record);
  CHECK(restored.id == entry.id);
  CHECK(restored.client_id == "host-1");
  CHECK(restored.attempt == 1);
  CHECK(next.begin(0, "host-2").index > 7);
  SessionRecord newer = record;
  newer.attempt = 4;
  CHECK(&next.registry.restore(7, newer) == &restored);
  CHECK(restored.attempt == 4);
  CHECK(next.registry.restore(7, record).attempt == 4);
}

TEST_CASE("session_registry: there are so many clients and channels, and no more") {
  RegistryOptions options;
  options.clients_max = 2;
  options.channels_per_client_max = 2;
  RegistryEnd end(options);
  Syn syn = a_syn();
  for (const char* client : {"a", "b", "a"}) {
    syn.client_id = client;
    CHECK(end.admit(syn, end.holder).empty());
  }
  syn.client_id = "c";
  CHECK(end.admit(syn, end.holder) == "too_many_clients");
  syn.client_id = "a";
  syn.channel = "second";
  CHECK(end.admit(syn, end.holder).empty());
  syn.channel = "third";
  CHECK(end.admit(syn, end.holder) == "too_many_channels");
}

TEST_CASE("session_registry: clients that left no trace do not count against those to come") {
  RegistryOptions options;
  options.clients_max = 2;
  RegistryEnd end(options);
  Syn syn = a_syn();
  for (int i = 0; i < 5; ++i) {
    syn.client_id = "stranger-" + std::to_string(i);
    REQUIRE(end.admit(syn, end.holder).empty());
    end.registry.release(*end.admission.entry, end.holder);
  }
}

TEST_CASE("session_registry: channels that HEADERs name count like those of sessions, and go with their session") {
  RegistryOptions options;
  options.channels_per_client_max = 3;
  RegistryEnd end(options);
  Syn syn = a_syn();
  REQUIRE(end.admit(syn, end.holder).empty());
  SessionEntry& entry = *end.admission.entry;
  CHECK(end.registry.use_channel(entry, "second"));
  CHECK(end.registry.use_channel(entry, "third"));
  CHECK_FALSE(end.registry.use_channel(entry, "fourth"));
  CHECK(end.registry.use_channel(entry, "second"));
  CHECK(end.registry.use_channel(entry, syn.channel));
  syn.channel = "fifth";
  CHECK(end.admit(syn, end.second) == "too_many_channels");
  end.registry.release(entry, end.holder);
  CHECK(end.admit(syn, end.second).empty());
}

TEST_CASE("session_registry: clients with a folder in the inbox are known, and count") {
  RegistryOptions options;
  options.clients_max = 2;
  RegistryEnd end(options);
  end.registry.set_folders({"a", "b"});
  Syn syn = a_syn();
  syn.client_id = "c";
  CHECK(end.admit(syn, end.holder) == "too_many_clients");
  syn.client_id = "a";
  CHECK(end.admit(syn, end.holder).empty());
  end.registry.set_folders({"a"});
  syn.client_id = "c";
  CHECK(end.admit(syn, end.second).empty());
}
