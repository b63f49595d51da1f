// What is between a client and the server: a stream like TCP, or datagrams that get lost, late, doubled and damaged.
// PROTOCOL §1.2.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>

#include "proto/bytes.h"
#include "proto/random.h"
#include "tests/simulation/faults.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/scheduler.h"

namespace cproto::sim {

// Who hears what arrives.
class Party {
 public:
  virtual ~Party() = default;
  virtual void on_bytes(ByteView bytes) = 0;
  virtual void on_end() = 0;       // the other side sends no more
  virtual void on_broken() = 0;    // the connection is no more
  virtual void on_writable() = 0;  // can_write() is true again
  // Bytes it would read now; 0: none.
  virtual std::size_t read_max() const = 0;
  // There is something, and it would read none of it: resume_reading() is up to it.
  virtual void on_full() {}
  // The process was stopped: it reads nothing and hears of nothing until resume_reading().
  virtual bool is_stopped() const { return false; }
};

enum class Side : std::size_t { client = 0, server = 1 };

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Scheduler& scheduler, Random& random, const LinkPlan& plan, Coverage& coverage, unsigned number)
      : scheduler_(scheduler), random_(random), plan_(plan), coverage_(coverage), number_(number) {}

  unsigned number() const { return number_; }
  const LinkPlan& plan() const { return plan_; }
  void join(Side side, Party* party) { party_[index(side)] = party; }
  bool is_joined(Side side) const { return party_[index(side)] != nullptr; }
  bool is_broken() const { return is_broken_; }

  bool can_write(Side side) const;
  void write(Side side, ByteView bytes);
  // Nothing more will be written by this side.
  void shut_down(Side side);
  // This side is gone; what it wrote still arrives.
  void leave(Side side);
  // Reading goes on, or on_writable may be due.
  void resume_reading(Side side);
  // Nothing arrives any more; each side hears of it, or not.
  void cut();
  // What this side writes does not arrive until heal() or unblock(); the other way all is well.
  void block(Side writer);
  void unblock(Side writer);
  // From here on nothing goes wrong.
  void heal();

  // A datagram for a server that knows nothing of this connection.
  std::function<void(const std::shared_ptr<Connection>&)> on_unknown;

 private:
  // Of what one side writes.
  struct Flow {
    Bytes arrived;
    std::size_t under_way = 0;  // written and not read
    Instant last_arrival{};
    bool is_shut = false;
    bool has_ended = false;  // the end has arrived
    bool end_was_told = false;
    bool writer_waits = false;
    bool is_delivering = false;
    bool is_blocked = false;
    bool is_resting = false;  // its reader is slow
    bool has_news = false;    // of the end of the connection, for a reader that was stopped
  };
  static std::size_t index(Side side) { return static_cast<std::size_t>(side); }
  static Side other(Side side) { return side == Side::client ? Side::server : Side::client; }
  Flow& flow(Side writer) { return flows_[index(writer)]; }
  Duration delay();
  void damage(Bytes& bytes);
  void write_stream(Side side, Bytes bytes);
  void write_datagrams(Side side, ByteView bytes);
  void send_datagram(Side side, Bytes frame);
  void arrive(Side writer, const Bytes& frame);
  void deliver(Side writer);
  void tell_broken(Side side);
  void rest(Flow& flow, Side writer);

  Scheduler& scheduler_;
  Random& random_;
  LinkPlan plan_;
  Coverage& coverage_;
  unsigned number_;
  std::array<Party*, 2> party_{};
  std::array<Flow, 2> flows_;
  bool is_broken_ = false;
};

}  // namespace cproto::sim
