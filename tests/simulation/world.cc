#include "tests/simulation/world.h"

#include <algorithm>
#include <utility>

#include "tests/simulation/client.h"
#include "tests/simulation/connection.h"
#include "tests/simulation/server_node.h"

namespace cproto::sim {

namespace {

constexpr Duration kTick = 500ms;
constexpr Duration kMostWithoutProgress = 120s;
constexpr Duration kMostToTheEnd = 2h;  // with nothing in the way
constexpr std::uint64_t kEventsAtOneInstant = 100'000;
constexpr std::uint64_t kEventsMax = 2'000'000;

}  // namespace

World::World(std::uint64_t seed, bool is_printing)
    : plan(draw_plan(seed)), random(seed ^ 0x3a11), ledger(plan.message_size_max), trace_(is_printing) {
  server = std::make_unique<ServerNode>(*this);
}

World::~World() {
  for (auto& client : clients_) client.reset();
  server.reset();
}

void World::fail(const std::string& what) {
  if (!verdict.failure.empty()) return;
  verdict.failure = what;
  trace("FAILURE: " + what);
}

std::shared_ptr<Connection> World::make_connection(const LinkPlan& link) {
  auto connection = std::make_shared<Connection>(scheduler, random, link, verdict.coverage, next_connection_++);
  connection->on_unknown = [this](const std::shared_ptr<Connection>& unknown) { server->on_datagram(unknown); };
  connections_.push_back(connection);
  if (!is_healed_ && random.chance(link.one_way)) plan_one_way(connection);
  return connection;
}

// For good, as far as a connection is concerned, or for a while.
void World::plan_one_way(const std::shared_ptr<Connection>& connection) {
  const Side writer = random.chance(50) ? Side::client : Side::server;
  const Duration begins = std::chrono::milliseconds(random.below(3000));
  const Duration lasts = std::chrono::milliseconds(random.between(100, 60'000));
  scheduler.after(begins, [this, weak = std::weak_ptr(connection), writer] {
    const auto there = weak.lock();
    if (!there || is_healed_ || there->is_broken()) return;
    trace("connection " + std::to_string(there->number()) + ": nothing arrives of the " +
          (writer == Side::client ? "client" : "server"));
    there->block(writer);
  });
  scheduler.after(begins + lasts, [weak = std::weak_ptr(connection), writer] {
    if (const auto there = weak.lock()) there->unblock(writer);
  });
}

bool World::all_done() const {
  return std::all_of(clients_.begin(), clients_.end(), [](const auto& client) { return client->is_done(); });
}

// Whether it came to the end without a failure.
bool World::run_until(Instant end, bool until_done) {
  Instant instant{};
  std::uint64_t at_this_instant = 0;
  while (verdict.failure.empty() && !(until_done && all_done())) {
    if (!scheduler.step(end)) return verdict.failure.empty();
    ++verdict.events;
    at_this_instant = scheduler.now() == instant ? at_this_instant + 1 : 0;
    instant = scheduler.now();
    if (at_this_instant > kEventsAtOneInstant) fail("time stands still");
    if (verdict.events > kEventsMax) fail("too many events");
  }
  return verdict.failure.empty();
}

// A reader follows the logs, and their owner sometimes puts one aside.
void World::tick() {
  server->read_along();
  for (unsigned i = 0; i < clients_.size(); ++i) {
    if (is_healed_ || !clients_[i]->renames_logs() || !random.chance(20)) continue;
    const std::string path = "/store/inbox/" + client_name(i + 1) + "/messages.log";
    if (!server->disk.exists(path)) continue;
    trace(path + " is renamed");
    count(Fault::log_renamed);
    server->disk.rename_file(path, path + "." + std::to_string(next_rotation_++));
  }
  scheduler.after(kTick, [this] { tick(); });
}

void World::heal() {
  trace("nothing fails from here on");
  is_healed_ = true;
  for (const auto& weak : connections_)
    if (const auto connection = weak.lock()) connection->heal();
  server->heal();
  for (const auto& client : clients_) client->heal();
}

Verdict World::run() {
  server->start();
  for (unsigned i = 0; i < plan.clients; ++i) {
    const ClientPlan client = draw_client_plan(plan, random);
    clients_.push_back(make_client(*this, i + 1, client));
  }
  scheduler.after(kTick, [this] { tick(); });
  scheduler.at(Instant{} + plan.heals_at, [this] { heal(); });
  if (run_until(Instant{} + plan.heals_at, true)) {
    if (!is_healed_) heal();
    run_while_there_is_progress();
    if (verdict.failure.empty()) check_the_end();
  }
  verdict.trace_hash = trace_.hash();
  verdict.lasted = scheduler.now() - Instant{};
  return verdict;
}

// With nothing in its way every client comes to its end; a slow one may take its time, as long as more becomes durable.
void World::run_while_there_is_progress() {
  std::uint64_t progress = ledger.progress();
  const Instant end = scheduler.now() + kMostToTheEnd;
  while (run_until(scheduler.now() + kMostWithoutProgress, true) && !all_done()) {
    if (std::exchange(progress, ledger.progress()) != progress && scheduler.now() < end) continue;
    for (const auto& client : clients_)
      if (!client->is_done()) fail("no progress: " + client->describe() + "; " + server->describe());
  }
}

// Once as it is, and once more behind a power cut.
void World::check_the_end() {
  for (const bool is_after_power_cut : {false, true}) {
    if (is_after_power_cut) {
      server->kill(true);
      run_until(scheduler.now() + 5s, false);
    }
    for (const Instant end = scheduler.now() + kMostWithoutProgress; scheduler.now() < end && !server->is_at_rest();) {
      server->settle();
      run_until(scheduler.now() + 100ms, false);
    }
    if (!server->is_at_rest()) return fail("no rest: " + server->describe());
    if (std::string wrong = server->write_inbox(); !wrong.empty()) return fail(wrong);
    if (std::string wrong = ledger.check_inbox(server->disk, true); !wrong.empty())
      return fail((is_after_power_cut ? "after a power cut: " : "at the end: ") + wrong);
  }
}

}  // namespace cproto::sim
