// Round-trip time and retransmission timeout by RFC 6298 (PROTOCOL §5.4). Knows no clock and no frames.
#pragma once

#include "proto/options.h"
#include "proto/time.h"

namespace cproto {

class RttEstimator {
 public:
  // Takes one measurement, of a frame that was sent once only (Karn).
  void sample(Duration rtt);
  // The timer expired: the next wait is twice as long, up to kRtoMax.
  void back_off();

  Duration rto() const { return rto_; }
  // Zero until the first sample.
  Duration smoothed() const { return srtt_; }

 private:
  Duration srtt_{0};
  Duration variation_{0};
  Duration rto_ = kRtoInitial;
};

}  // namespace cproto
