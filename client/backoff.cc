#include "client/backoff.h"

#include <algorithm>

namespace cproto::client {

Duration Backoff::next() {
  const auto wait =
      Duration(static_cast<std::int64_t>(random_.between(0, static_cast<std::uint64_t>(ceiling_.count()))));
  ceiling_ = std::min(ceiling_ * 2, kBackoffMax);
  return wait;
}

}  // namespace cproto::client
