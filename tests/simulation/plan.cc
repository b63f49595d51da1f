#include "tests/simulation/plan.h"

#include <array>

namespace cproto::sim {

namespace {

template <class T, std::size_t N>
T pick(Random& random, const std::array<T, N>& from) {
  return from[random.below(N)];
}

// Each kind of fault is off in most runs: alone, or with few others, it gets further.
LinkPlan draw_link(Random& random) {
  LinkPlan link;
  link.transport = random.chance(65) ? Transport::stream : Transport::datagram;
  link.delay_min = std::chrono::microseconds(random.between(50, 5000));
  link.delay_max = link.delay_min + std::chrono::microseconds(random.between(100, 60000));
  const bool is_bad = random.chance(60);
  if (link.transport == Transport::datagram) {
    if (is_bad) link.loss = static_cast<double>(random.below(21));
    if (is_bad) link.duplication = static_cast<double>(random.below(11));
    if (is_bad) link.corruption = static_cast<double>(random.below(6));
    if (is_bad && random.chance(30)) link.long_delay = 1;
  } else {
    if (is_bad) link.corruption = random.chance(30) ? 1.0 : 0.0;
    if (is_bad) link.life_max = std::chrono::milliseconds(random.between(200, 8000));
    if (is_bad && random.chance(20)) link.long_delay = 2;
    if (random.chance(10)) link.slow_reader = random.between(64, 4096);
  }
  if (random.chance(15)) link.one_way = 40;
  return link;
}

DiskPlan draw_disk(Random& random) {
  DiskPlan disk;
  disk.latency_max = std::chrono::microseconds(random.between(100, 20000));
  if (random.chance(20)) disk.stall = 1;
  if (random.chance(20)) disk.sync_failure = 1;
  if (random.chance(15)) disk.inbox_failure = 5;
  if (random.chance(30)) disk.lasting = 20;
  if (random.chance(20)) disk.write_failure = 1;
  if (random.chance(10)) disk.no_space = 1;
  if (random.chance(15)) disk.denied = 10;
  if (random.chance(15)) disk.misread = random.chance(50) ? 1 : 10;
  disk.fills_up = random.chance(10);
  return disk;
}

StreamPlan draw_stream(Random& random) {
  StreamPlan stream;
  stream.latency_max = std::chrono::microseconds(random.between(100, 20000));
  stream.payload_max = random.between(33, 256) * 1024;
  stream.pack_size = pick(random, std::array<std::size_t, 4>{1, 1000, 16 * 1024, 256 * 1024});
  if (random.chance(30)) stream.away = 40;
  if (random.chance(30)) stream.full = 2;
  if (random.chance(40)) stream.late = 2;
  if (random.chance(40)) stream.lost = 2;
  if (random.chance(40)) stream.stale = 40;
  return stream;
}

}  // namespace

Plan draw_plan(std::uint64_t seed) {
  Random random(seed);
  Plan plan;
  plan.seed = seed;
  plan.clients = random.between(1, 5);
  plan.segment_size = pick(random, std::array<std::uint64_t, 4>{64, 64, 128, 256}) * 1024;
  plan.window_bytes = random.between(8, 256) * 1024;
  if (random.chance(20)) plan.message_size_max = random.between(1000, 100000);
  plan.keep_alive = std::chrono::seconds(random.between(1, 10));
  plan.heals_at = std::chrono::seconds(random.between(5, 40));
  if (random.chance(75)) plan.server_life_max = std::chrono::milliseconds(random.between(300, 15000));
  plan.power_cut = static_cast<double>(random.below(101));
  if (random.chance(60)) plan.second_cut = 50;
  if (random.chance(15)) plan.stop = 40;
  plan.changes_settings = random.chance(30);
  plan.disk = draw_disk(random);
  if (random.chance(25)) plan.stream = draw_stream(random);
  return plan;
}

ClientPlan draw_client_plan(const Plan& plan, Random& random) {
  ClientPlan client;
  client.link = draw_link(random);
  if (random.chance(15)) client.mode = OperationMode::step_by_step;
  client.max_packet_size = pick(random, std::array<std::uint32_t, 5>{64, 500, 1000, 4096, 16384});
  client.window_size = random.chance(50) ? kWindowMax : static_cast<std::uint32_t>(random.between(1, 300));
  client.sessions = random.between(1, 4);
  client.messages = random.between(1, 60);
  client.large = client.max_packet_size >= 4096 && random.chance(25) ? 1.5 : 0;
  if (random.chance(60)) client.pause_max = std::chrono::milliseconds(random.between(1, 800));
  if (random.chance(30)) client.life_max = std::chrono::milliseconds(random.between(500, 10000));
  client.renames_logs = random.chance(25);
  client.jumps_clock = random.chance(20);
  if (plan.message_size_max > 0) client.large = 0;
  return client;
}

}  // namespace cproto::sim
