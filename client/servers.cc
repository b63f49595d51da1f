#include "client/servers.h"

#include <algorithm>
#include <utility>

namespace cproto::client {

Servers::Servers(std::vector<ServerAddress> servers, Random random) : backoff_(random) {
  for (ServerAddress& address : servers) entries_.push_back({std::move(address), 0, {}});
}

Duration Servers::on_failure(Instant now, bool may_turn, Duration pause) {
  entries_[index_].not_before = now + pause;
  const std::size_t choice = may_turn ? entries_.size() : 1;
  if (may_turn) index_ = (index_ + 1) % entries_.size();
  ++failed_in_a_row_;
  // Only a round that led nowhere calls for patience.
  const Duration wait = failed_in_a_row_ % choice == 0 ? backoff_.next() : Duration(0);
  return std::max(entries_[index_].not_before - now, Duration(0)) + wait;
}

}  // namespace cproto::client
