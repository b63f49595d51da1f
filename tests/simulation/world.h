// One run: a server, its clients, the links between them and what goes wrong, all from one seed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proto/random.h"
#include "tests/simulation/faults.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/trace_log.h"

namespace cproto::sim {

class ServerNode;
class Client;
class Connection;

struct Verdict {
  std::string failure;  // empty: all is well
  std::uint64_t trace_hash = 0;
  std::uint64_t events = 0;
  Duration lasted{0};
  Coverage coverage;
};

class World {
 public:
  World(std::uint64_t seed, bool is_printing);
  ~World();

  Verdict run();
  const TraceLog& trace_log() const { return trace_; }

  // --- for the nodes ---
  void fail(const std::string& what);
  void trace(std::string_view line) { trace_.add(scheduler.now(), line); }
  // One line for each frame in what a side wrote, or for a run of the same kind.
  void trace_frames(std::string_view who, ByteView frames) { trace_.add_frames(scheduler.now(), who, frames); }
  void count(Fault fault) { verdict.coverage.add(fault); }
  bool is_healed() const { return is_healed_; }
  std::shared_ptr<Connection> make_connection(const LinkPlan& plan);

  Plan plan;
  Random random;
  Scheduler scheduler;
  Ledger ledger;
  std::unique_ptr<ServerNode> server;
  Verdict verdict;

 private:
  void plan_one_way(const std::shared_ptr<Connection>& connection);
  bool all_done() const;
  bool run_until(Instant end, bool until_done);
  void tick();
  void heal();
  void run_while_there_is_progress();
  void check_the_end();

  TraceLog trace_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::weak_ptr<Connection>> connections_;
  unsigned next_connection_ = 1;
  unsigned next_rotation_ = 1;
  bool is_healed_ = false;
};

}  // namespace cproto::sim
