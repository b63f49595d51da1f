// The server: the real Store and Peers on a disk in memory, and a process that can be killed, with or without its page
// cache.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "daemon/journal_store.h"
#include "daemon/log.h"
#include "daemon/peer.h"
#include "tests/simulation/connection.h"
#include "tests/simulation/disk_faults.h"
#include "tests/simulation/durable_journal.h"
#include "tests/simulation/sim_stream.h"
#include "tests/simulation/world.h"
#include "tests/support/memory_disk.h"

namespace cproto::sim {

class ServerNode;

// One connection's end at the server.
class ServerWire final : public Party, public Wire {
 public:
  ServerWire(World& world, ServerNode& node, std::shared_ptr<Connection> connection);
  ~ServerWire() override;

  Peer& peer() { return *peer_; }
  bool is_finished() const { return is_finished_; }
  Connection& connection() { return *connection_; }

  // --- Party ---
  void on_bytes(ByteView bytes) override;
  void on_end() override;
  void on_broken() override;
  void on_writable() override;
  std::size_t read_max() const override;
  void on_full() override;
  bool is_stopped() const override;
  // The process goes on: everything that came meanwhile is there.
  void wake();

  // --- Wire ---
  bool can_write() override { return !is_finished_ && connection_->can_write(Side::server); }
  Bytes& write_buffer() override;
  void write() override;
  void set_deadline(Instant at) override { alarm_.set(at); }
  void shut_down() override;
  void finish() override;
  void set_reading(bool is_reading) override;

 private:
  void look_at(const Frame& frame);
  void check_told(Seq through);

  World& world_;
  ServerNode& node_;
  std::shared_ptr<Connection> connection_;
  Alarm alarm_;
  Bytes buffer_;
  bool is_reading_ = true;
  bool is_finished_ = false;
  std::optional<SessionId> session_;
  std::unique_ptr<Peer> peer_;
};

class ServerNode final : public Log {
 public:
  explicit ServerNode(World& world);
  ~ServerNode() override;

  void start();
  bool is_up() const { return store_ != nullptr; }
  void on_connect(const std::shared_ptr<Connection>& connection);
  void on_datagram(const std::shared_ptr<Connection>& connection);
  // Behind whatever happened to it: one turn of its loop.
  void pump();
  void kill(bool cuts_power);
  // Nothing fails from here on.
  void heal();
  // Everything durable is delivered and checkpointed.
  void settle() {
    if (store_) store_->settle();
    pump();
  }
  bool is_at_rest() const { return store_ && store_->is_at_rest(); }
  std::string describe() const;
  // A copy of what a power cut would leave knows everything that was told.
  void check_durable();
  // Of a stream: what is in it, for a look at the end. Returns what is wrong with it; empty: nothing.
  std::string write_inbox();
  // What a reader sees now is what it saw before, and more.
  void read_along();

  test::MemoryDisk disk;

 private:
  friend class ServerWire;
  void open();
  bool open_journal();
  void open_stream();
  Seq durable_through(const SessionId& session) const;
  void plan_death();
  void die();
  void plan_stop();
  void stop(Duration lasts);
  void go_on();
  void check_told(const JournalStore& store, const char* where);
  void check_bounds();
  void count_losses();
  void bury();

  void write(Severity severity, LogEvent event, std::string_view line, const LogFields& fields) override;
  bool is_on(Severity) const override { return true; }

  World& world_;
  Random random_;
  DiskFaults faults_;
  DurableJournal durable_;
  StoreOptions options_;
  cproto::World store_world_;
  PeerCounters counters_;
  std::uint64_t ids_ = 0;
  std::map<unsigned, std::unique_ptr<ServerWire>> wires_;
  StreamServers stream_servers_;
  std::unique_ptr<SimStream> stream_;
  std::unique_ptr<Store> store_;
  JournalStore* journal_store_ = nullptr;  // the same, if it is one
  Alarm disk_alarm_;
  Alarm store_alarm_;
  test::DiskLosses losses_counted_;
  unsigned deep_checks_left_ = 2;
  unsigned life_ = 0;
  bool dies_at_work_ = false;  // as soon as a job is on the disk
  bool is_stopped_ = false;
  std::uint64_t most_kept_ = 0;         // out of order, of all connections
  std::uint64_t waited_for_files_ = 0;  // at the most
  bool is_pumping_ = false;
  bool is_ending_ = false;
  bool has_torn_logs_ = false;
};

}  // namespace cproto::sim
