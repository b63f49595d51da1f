// Which server the next attempt goes to, and not before when. As long as nothing is acknowledged the given servers are
// tried in turn without a pause between them; afterwards the session is at one, and stays there.
#pragma once

#include <vector>

#include "client/addresses.h"
#include "client/backoff.h"

namespace cproto::client {

class Servers {
 public:
  Servers(std::vector<ServerAddress> servers, Random random);

  const ServerAddress& current() const { return entries_[index_].address; }
  std::size_t size() const { return entries_.size(); }
  // With which of the current server's addresses to begin.
  std::size_t rotation() const { return entries_[index_].rotation; }

  // An attempt failed; the server asked for `pause` before the next one. `may_turn`: another server will do.
  // Returns how long to wait, and current() is the one to try then.
  Duration on_failure(Instant now, bool may_turn, Duration pause);
  // The address that was reached is not what it should be: next time another one of this name.
  void rotate() { ++entries_[index_].rotation; }
  void on_durable() {
    backoff_.reset();
    failed_in_a_row_ = 0;
  }

 private:
  struct Entry {
    ServerAddress address;
    std::size_t rotation = 0;
    Instant not_before{};
  };
  std::vector<Entry> entries_;
  std::size_t index_ = 0;
  std::size_t failed_in_a_row_ = 0;
  Backoff backoff_;
};

}  // namespace cproto::client
