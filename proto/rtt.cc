#include "proto/rtt.h"

#include <algorithm>

namespace cproto {

// RFC 6298 §2.2, §2.3, with alpha = 1/8 and beta = 1/4.
void RttEstimator::sample(Duration rtt) {
  if (srtt_ == Duration::zero()) {
    srtt_ = rtt;
    variation_ = rtt / 2;
  } else {
    const Duration error = srtt_ > rtt ? srtt_ - rtt : rtt - srtt_;
    variation_ = (variation_ * 3 + error) / 4;
    srtt_ = (srtt_ * 7 + rtt) / 8;
  }
  rto_ = std::clamp<Duration>(srtt_ + 4 * variation_, kRtoMin, kRtoMax);
}

// RFC 6298 §5.5.
void RttEstimator::back_off() { rto_ = std::min<Duration>(rto_ * 2, kRtoMax); }

}  // namespace cproto
