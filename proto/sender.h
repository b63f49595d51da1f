// The client's half of the data (PROTOCOL §4, §5): numbers frames, keeps them until they are durable at the other side,
// lets out what the window and the limits allow, and sends again what is missing. Knows nothing of what a message is or
// of how a connection came to be.
//
// Frames are kept encoded (frame_store.h): letting them out is one copy, forgetting them moves a mark.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "proto/control.h"
#include "proto/frame.h"
#include "proto/frame_store.h"
#include "proto/handshake.h"
#include "proto/options.h"
#include "proto/rtt.h"
#include "proto/time.h"

namespace cproto {

struct SenderOptions {
  Transport transport = Transport::stream;
  std::uint64_t unsent_bytes_max = 256 * 1024;  // encoded and waiting for their turn
  // Encoded and not yet durable: a window of 16 MiB with its headers, and what waits behind it.
  std::uint64_t retained_bytes_max = 17u << 20;
};

class Sender {
 public:
  explicit Sender(const SenderOptions& options) : options_(options) {}

  // Whether push() may be called. False while enough waits already, so that the source is read no faster than the
  // server takes.
  bool has_room() const {
    return store_.size() < options_.retained_bytes_max &&
           store_.end() - begin_of(sent_count_) < options_.unsent_bytes_max;
  }
  // Encodes one frame under the next number and returns that number. `ends_message`: DATA, or a HEADER that abandons.
  // Pre: has_room(), is_numbered(type).
  Seq push(FrameType type, ByteView payload, bool ends_message);

  // A connection with these terms is there. Everything behind `durable_through` will be sent (again). Returns false if
  // the other side claims more than was ever sent, or less than it has acknowledged (PROTOCOL §3.6).
  [[nodiscard]] bool attach(const SynAck& terms);
  // The connection is gone; so is what was measured on it.
  void detach();

  // Appends what is to be sent again, to about `bytes_max` more bytes in `out`. Returns what is left of them.
  std::size_t take_again(Instant now, Bytes& out, std::size_t bytes_max);
  // Appends frames not sent before, as window and limits allow, to about `bytes_max` more bytes.
  void take_new(Instant now, Bytes& out, std::size_t bytes_max);

  struct AckOutcome {
    bool is_news = false;  // anything moved
    bool is_valid = true;  // false: it acknowledges what was never sent
  };
  AckOutcome on_ack(Instant now, const Ack& ack);
  // PROTOCOL §2.5. The receiver expects `next` and saw a damaged frame: everything sent from there goes out again.
  void on_damaged(Seq next);
  // The retransmission timer expired. On a datagram transport what is not known to be received is sent again.
  void on_timeout();

  // Cuts what is kept to a new, smaller packet size. Pre: detached, and the other side has nothing of what is not
  // durable (a new session: PROTOCOL §3.6).
  void recut(std::uint32_t max_packet_size);

  Seq durable_through() const { return durable_through_; }
  std::uint64_t durable_bytes() const { return store_.begin() - kHeaderSize * durable_through_.value; }
  std::uint64_t durable_messages() const { return durable_messages_; }
  Seq sent_through() const { return durable_through_ + sent_count_; }
  Seq received_through() const { return received_through_; }
  Seq last_pushed() const { return durable_through_ + slots_in_use(); }
  // Of everything pushed in this session: payload bytes, and messages ended.
  std::uint64_t pushed_bytes() const { return store_.end() - kHeaderSize * last_pushed().value; }
  std::uint64_t pushed_messages() const { return pushed_messages_; }
  bool all_sent() const { return sent_count_ == slots_in_use() && resend_count_ == 0; }
  // Frames sent and not known to be received: the timer runs for them.
  bool awaits_receipt() const { return received_through_ < sent_through(); }
  bool awaits_durability() const { return sent_count_ > 0; }
  std::uint64_t in_flight() const { return sent_count_; }
  std::uint64_t retransmitted() const { return retransmitted_; }
  Duration rto() const { return rtt_.rto(); }
  Duration smoothed_rtt() const { return rtt_.smoothed(); }

 private:
  // One kept frame. `end` is the count of bytes ever encoded in this session up to and including it, so it gives both
  // the place in the store and, less the headers, the total of payload bytes.
  struct Slot {
    std::uint64_t end = 0;
    Instant sent_at{};
    bool is_received = false;  // named by a range
    bool must_resend = false;
    bool ends_message = false;
  };

  std::uint64_t slots_in_use() const { return slots_.size() - slots_head_; }
  Slot& slot(std::uint64_t index) { return slots_[slots_head_ + index]; }
  const Slot& slot(std::uint64_t index) const { return slots_[slots_head_ + index]; }
  std::uint64_t begin_of(std::uint64_t index) const { return index == 0 ? store_.begin() : slot(index - 1).end; }
  ByteView frame(std::uint64_t index) const;
  std::uint64_t payload_total(std::uint64_t index) const;
  bool may_send(std::uint64_t index) const;
  bool agrees_with(const SynAck& terms) const;
  Seq highest_sent() const { return std::max(highest_sent_, durable_through_); }
  void mark_resend(std::uint64_t index);
  void mark_gaps(Instant now, const std::vector<SeqRange>& ranges);
  void forget_through(Seq durable_through);
  void take_sample(Instant now, const Ack& ack);

  SenderOptions options_;
  RttEstimator rtt_;
  FrameStore store_;
  std::vector<Slot> slots_;
  std::size_t slots_head_ = 0;
  Seq durable_through_;
  Seq received_through_;
  std::uint64_t durable_messages_ = 0;
  std::uint64_t pushed_messages_ = 0;
  std::uint64_t sent_count_ = 0;    // of the kept frames, from the first, on this connection
  Seq highest_sent_;                // on any connection
  std::uint64_t resend_count_ = 0;  // slots with must_resend
  std::uint64_t retransmitted_ = 0;
  std::uint32_t window_size_ = 1;
  Seq limit_number_;
  std::uint64_t limit_bytes_ = 0;
  std::optional<Seq> timed_;  // the frame whose round trip is being measured
  Instant timed_at_{};
};

}  // namespace cproto
