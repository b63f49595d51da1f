// Which of the source's messages a number of the session belongs to. Messages of one frame each, one behind the other,
// take one entry however many they are, so this stays small beside what is in flight.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "proto/seq.h"

namespace cproto::client {

class MessageMap {
 public:
  // The message with this ordinal begins with this number. Both rise from call to call.
  void note(Seq first, std::uint64_t ordinal);
  // The message that began with `first`; nullopt if that is forgotten.
  std::optional<std::uint64_t> find(Seq first) const;
  // Nobody will ask for what began up to here, but for the message that may still be under way there.
  void forget_through(Seq durable_through);
  std::size_t size() const { return runs_.size() - head_; }

 private:
  // From here on, one number is one message.
  struct Run {
    Seq first;
    std::uint64_t ordinal;
  };
  std::vector<Run> runs_;
  std::size_t head_ = 0;
};

}  // namespace cproto::client
