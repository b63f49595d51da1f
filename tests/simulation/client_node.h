// A client that makes use of all that the protocol offers, also what cproto-send does not: the real ClientSession, a
// source of messages, and a process that can be killed. Its next life begins a new session.
#pragma once

#include <memory>
#include <string>

#include "proto/client_session.h"
#include "tests/simulation/client.h"
#include "tests/simulation/connection.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/world.h"

namespace cproto::sim {

class ClientNode final : public Client, public Party {
 public:
  ClientNode(World& world, unsigned number, const ClientPlan& plan);
  ~ClientNode() override;

  // --- Client ---
  bool is_done() const override { return sessions_left_ == 0 && !session_; }
  bool renames_logs() const override { return plan_.renames_logs; }
  std::string describe() const override;
  void heal() override;

  // --- Party ---
  void on_bytes(ByteView bytes) override;
  void on_end() override { on_broken(); }
  void on_broken() override;
  void on_writable() override { turn(); }
  std::size_t read_max() const override { return 64 * 1024; }

  // --- Host ---
  void on_event(ClientEvent& event);
  bool can_write() const { return connection_ && connection_->can_write(Side::client); }
  Bytes& write_buffer();
  void write();
  void set_deadline(Instant at);
  void shut_down() {}
  void finish();

 private:
  // The message being sent.
  struct Outgoing {
    SentMessage* message = nullptr;
    Bytes content;
    std::size_t offset = 0;
    std::size_t abandon_at = 0;  // 0: it is sent whole
    bool needs_header = false;
    FileDigest digest;  // of a file: of what was sent
    bool told_digest = false;
  };

  SentSession& sent() { return world_.ledger.session(number_, session_number_); }
  void begin_session();
  void connect();
  void turn();
  bool feed();
  bool begin_message();
  static FileDescription description_of(const SentMessage& message, bool has_size);
  bool send_message();
  bool send_file();
  void note_acknowledged();
  void drop_connection();
  void come_back(Duration delay);
  void crash();

  World& world_;
  unsigned number_;
  ClientPlan plan_;
  std::unique_ptr<ClientSession> session_;
  std::shared_ptr<Connection> connection_;
  Alarm alarm_;
  Alarm source_alarm_;
  Bytes buffer_;
  std::size_t sessions_left_;
  unsigned session_number_ = 0;
  std::size_t messages_left_ = 0;
  Instant next_message_at_{};
  Outgoing outgoing_;
  std::uint32_t packet_size_ = 0;
  Duration retry_after_{0};
  unsigned life_ = 0;  // of the process: what was planned for an earlier one is void
};

}  // namespace cproto::sim
