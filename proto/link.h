// What both ends do with a connection alike: frames in, what damage means (PROTOCOL §2.5), keep-alive (§7.1).
// Knows neither handshake nor data.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "proto/codec.h"
#include "proto/control.h"
#include "proto/error.h"
#include "proto/options.h"
#include "proto/time.h"

namespace cproto {

class Link {
 public:
  explicit Link(Transport transport) : transport_(transport), decoder_(transport) {}

  struct Item {
    enum class Kind : std::uint8_t {
      none,     // nothing whole is left of the input
      frame,    // an intact one
      damaged,  // one was passed over: the other side wants to know the number expected next
      failed,   // the connection cannot go on, because of `error`
    };
    Kind kind = Kind::none;
    Frame frame;
    ErrorCode error = ErrorCode::none;
  };

  // The handshake is complete: other limits hold, damage is borne, silence is noticed.
  void establish(Instant now, std::uint32_t max_packet_size, Duration keep_alive);

  // Pre: next() has said none or failed since the last call. `input` stays until the next call.
  void receive(ByteView input);
  Item next(Instant now);
  // What a stranger said first, as far as it is here; lives until the next receive().
  ByteView unread() const { return decoder_.unread(); }

  // While the host does not read, nobody is called silent; the other side is still shown a sign of life.
  void set_reading(bool is_reading);

  // Call at deadline(). Says whether to ask for a sign of life, or that there was none for too long.
  enum class Silence : std::uint8_t { none, ask, gone };
  Silence check_silence(Instant now);
  Instant deadline() const { return deadline_; }
  Duration keep_alive() const { return keep_alive_; }
  std::uint64_t damaged() const { return damaged_total_; }

 private:
  Item on_damaged(Instant now);

  Transport transport_;
  bool is_established_ = false;
  bool is_reading_ = true;
  bool is_read_throughout_ = true;  // in the interval under way
  bool last_was_damaged_ = false;
  int intervals_silent_ = 0;
  std::size_t heard_ = 0;  // bytes, in the interval under way, of a frame that is not whole
  std::uint32_t payload_max_ = 0;
  Decoder decoder_;
  Duration keep_alive_{0};
  Instant deadline_ = kNever;
  std::uint64_t damaged_total_ = 0;
  std::array<Instant, kDamagedFramesMax - 1> damaged_at_;  // the latest ones, a ring by damaged_total_
};

}  // namespace cproto
