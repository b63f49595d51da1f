// The servers of a stream, in memory: what they have stored survives every daemon. And a daemon's connection to them,
// on which publications are forgotten, refused or late, answers are lost or late, and a server that is behind is asked.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/stream.h"
#include "proto/handshake.h"
#include "proto/random.h"
#include "proto/time.h"
#include "tests/simulation/faults.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/scheduler.h"
#include "tests/support/memory_disk.h"

namespace cproto::sim {

class StreamServers {
 public:
  struct Stored {
    std::uint64_t sequence = 0;
    StreamHeaders headers;
    Bytes payload;
  };

  // The sequence it has now; nullopt: the last message of its subject is another.
  std::optional<std::uint64_t> store(const Publication& publication);
  // Oldest first; nullptr: none.
  const std::vector<Stored>* messages(const std::string& subject) const;
  // Up to where everything of the session is stored.
  Seq through(const SessionId& id) const;
  // As a reader would put it into an inbox. Returns what is wrong with the stream; empty: nothing.
  std::string write_inbox(test::MemoryDisk& disk, const std::string& inbox) const;

 private:
  std::map<std::string, std::vector<Stored>> subjects_;
  std::uint64_t last_sequence_ = 0;
};

class SimStream final : public Stream {
 public:
  // `is_healed`: nothing fails any more. `after`: behind everything the owner hears.
  SimStream(Scheduler& scheduler, StreamServers& servers, Random& random, const StreamPlan& plan, Coverage& coverage,
            std::function<bool()> is_healed, std::function<void()> after);
  ~SimStream() override;

  void set_owner(Owner* owner) override { owner_ = owner; }
  void open() override;
  void publish(std::uint64_t ticket, Publication publication) override;
  void find_last(std::uint64_t ticket, const std::string& subject) override;

 private:
  // Of one connection; what is on its way has it, too.
  struct Link {
    bool is_up = false;
    Instant last_arrival{};
  };

  bool draws(double per_cent, Fault fault);
  Duration draw_delay();
  void arrive(const std::shared_ptr<Link>& link, std::uint64_t ticket, const Publication& publication);
  void answer(const std::shared_ptr<Link>& link, std::function<void(Owner&)> what);
  void close(const std::string& why);

  Scheduler& scheduler_;
  StreamServers& servers_;
  Random& random_;
  StreamPlan plan_;
  Coverage& coverage_;
  std::function<bool()> is_healed_;
  std::function<void()> after_;
  Owner* owner_ = nullptr;
  std::shared_ptr<Link> link_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace cproto::sim
