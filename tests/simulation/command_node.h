// A client: cproto-send as it is, from its sources and its state to its transfer, without libuv; on a machine whose
// power can be cut, in a process that can be killed at any step, and started again.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/followed_log.h"
#include "client/progress.h"
#include "client/transfer.h"
#include "tests/simulation/client.h"
#include "tests/simulation/client_machine.h"
#include "tests/simulation/connection.h"
#include "tests/simulation/errand.h"
#include "tests/simulation/world.h"

namespace cproto::sim {

class CommandNode final : public Client, Party, client::Transfer::Network, client::Screen, client::LogListener {
 public:
  CommandNode(World& world, unsigned number, const ClientPlan& plan);
  ~CommandNode() override;

  // --- Client ---
  bool is_done() const override { return !errand_; }
  bool renames_logs() const override { return plan_.renames_logs; }
  std::string describe() const override;
  void heal() override;

 private:
  struct Process;

  // --- Party ---
  void on_bytes(ByteView bytes) override;
  void on_end() override { on_gone("the server closed the connection"); }
  void on_broken() override { on_gone("connection reset by peer"); }
  void on_writable() override;
  std::size_t read_max() const override { return 64 * 1024; }
  bool is_stopped() const override { return is_stopped_; }

  // --- Transfer::Network ---
  void connect(const client::ServerAddress& server, std::size_t rotation) override;
  bool can_write() const override { return connection_ && connection_->can_write(Side::client); }
  Bytes& write_buffer() override;
  void write() override;
  void finish() override;
  void set_deadline(Instant at) override;
  void on_over() override {}

  // --- Screen ---
  bool is_terminal() const override { return false; }
  void say(std::string_view line) override;
  void show(std::string_view) override {}

  // --- LogListener ---
  void on_lost(const client::LostBytes& lost) override;
  void on_note(const std::string& sentence) override { say(sentence); }

  std::string name() const { return client_name(number_); }
  bool is_faulty() const { return !world_.is_healed(); }
  Duration below(Duration most);
  void jump_clock();
  void begin_errand();
  void write_on();
  void start();
  void start_process();
  void enter(const std::function<void()>& step);
  void look();
  void note_close();
  void meet_server();
  void on_gone(const std::string& reason);
  void drop_connection();
  void plan_worst();
  void stop_for(Duration time);
  void go_on();
  void die(const char* how);
  void bury();
  void on_exit();
  void end_errand();
  // What it says of its next run.
  void note_promise(std::string_view line);
  int draw_fault(const FileOp& op, const std::string& path);

  World& world_;
  unsigned number_;
  ClientPlan plan_;
  test::MemoryFiles files_;
  std::size_t errands_left_;
  unsigned errand_number_ = 0;
  std::unique_ptr<Errand> errand_;
  std::unique_ptr<Process> process_;
  std::shared_ptr<Connection> connection_;
  Alarm alarm_;
  Bytes buffer_;
  unsigned life_ = 0;  // of the process: what was planned for an earlier one is void
  unsigned depth_ = 0;
  Duration clock_ahead_{0};    // of the time that passes
  bool was_put_back_ = false;  // during this errand, or could have been
  bool is_stopped_ = false;
  std::vector<std::function<void()>> missed_;  // while it was stopped
  std::vector<std::string> told_;              // what it said of this errand
  double disk_failure_ = 0;                    // per cent of operations where it remembers, and where its log is
  bool begins_anew_ = false;                   // it has said so: what it remembered is gone
  bool may_begin_anew_ = false;                // the same, with a power cut
};

}  // namespace cproto::sim
