// The oracle: what was sent, what was acknowledged, and whether the inbox agrees. An acknowledged message is there
// exactly once, in order, byte for byte; nothing is there that was not sent; and no log a reader could see gets
// shorter.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "proto/handshake.h"
#include "tests/simulation/content.h"
#include "tests/support/memory_disk.h"

namespace cproto::sim {

struct SentMessage {
  MessageId id;
  MessageKind kind = MessageKind::text;
  std::string channel;
  std::size_t size = 0;
  std::vector<std::size_t> former_sizes{};  // of a file that was changed: one of these may have been sent before
  Seq first;
  std::optional<Seq> last;  // once all of it was handed to the session
  bool is_abandoned = false;
  bool was_refused = false;  // and its sender was told

  bool had_size(std::size_t bytes) const {
    return size == bytes || std::find(former_sizes.begin(), former_sizes.end(), bytes) != former_sizes.end();
  }
};

struct SentSession {
  std::vector<SentMessage> messages;
  std::uint64_t acknowledged = 0;  // messages, in the order they began
  std::optional<SessionId> id;
  bool is_closed = false;  // everything in it is settled
  // It began anew with smaller packets before anything was durable: the numbers that are noted are not those it has.
  bool was_recut = false;
};

class Ledger {
 public:
  explicit Ledger(std::uint64_t message_size_max) : message_size_max_(message_size_max) {}

  SentSession& session(unsigned client, unsigned number) { return sessions_[{client, number}]; }

  // What the server has told, in whatever frame: everything up to `through` of this session is durable.
  void on_told(const SessionId& id, Seq through);
  const std::map<SessionId, Seq>& told() const { return told_; }
  // The same, that the message which began with `first` is refused.
  void on_told_refused(const SessionId& id, Seq first) { refused_[id].insert(first); }
  std::size_t refusals(const SessionId& id) const;
  // Too large for the server, that is.
  bool is_too_large(const SentMessage& message) const {
    return message.kind != MessageKind::file && message_size_max_ > 0 && message.size > message_size_max_;
  }
  // Becomes more with every number that is told, and with every session.
  std::uint64_t progress() const;
  bool is_closed(const SessionId& id) const;

  // Empty, or what is wrong. `is_final`: everything acknowledged has to be there by now.
  std::string check_inbox(const test::MemoryDisk& disk, bool is_final);
  // What readers of the logs saw at any time is what they see now, and more.
  static std::string read_along(const test::MemoryDisk& disk);

 private:
  struct Found {
    std::map<MessageId, unsigned> times;
    std::map<std::string, unsigned> last_of;  // by session and channel: the highest number so far
  };
  std::string check_log(const Bytes& bytes, unsigned client, const std::string& name, bool is_final, Found& found);
  std::string check_files(const test::MemoryDisk& disk, const std::string& client, unsigned number, Found& found);
  std::string check_message(ByteView bytes, MessageKind kind, unsigned client, const std::string& channel,
                            Found& found);
  std::string check_missing(const Found& found) const;

  std::uint64_t message_size_max_;
  std::map<std::pair<unsigned, unsigned>, SentSession> sessions_;
  std::map<SessionId, Seq> told_;
  std::map<SessionId, std::set<Seq>> refused_;
};

// "client-3"
std::string client_name(unsigned client);

}  // namespace cproto::sim
