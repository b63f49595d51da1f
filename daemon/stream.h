// A stream of another system that keeps messages, as far as stream_store.h needs one: JetStream's (nats_stream.h), or
// the simulator's. Messages have a subject; those of a subject are in order, each with a sequence that only grows.
//
// What is asked is answered once, in any order, or never: whoever asks has a deadline. Without an answer it is not
// known whether a publication was stored, and it may still be.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proto/bytes.h"

namespace cproto {

using StreamHeaders = std::vector<std::pair<std::string, std::string>>;

// One message to be. It is stored only if the last message of its subject has this sequence (0: there is none), so that
// of two who publish from the same mark one wins, and what is behind a lost one is not stored either.
struct Publication {
  std::string subject;
  std::uint64_t after = 0;
  StreamHeaders headers;
  Bytes payload;
};

// The last message of a subject.
struct StreamMessage {
  std::uint64_t sequence = 0;
  StreamHeaders headers;
};

// What is known of a stream that is there.
struct StreamTerms {
  Id128 id{};  // another one once it was removed and made again
  std::size_t payload_max = 0;
  unsigned replicas = 1;
};

class Stream {
 public:
  enum class Refused : std::uint8_t {
    elsewhere,  // the last message of the subject is another
    full,       // there is no room
    other,      // whatever else; it was not stored
    unknown,    // whether it was stored
  };

  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void on_opened(const StreamTerms& terms) = 0;
    // It is not there, or not any more, and nothing more is heard of what was under way. `why` is for people.
    virtual void on_closed(const std::string& why) = 0;
    virtual void on_stored(std::uint64_t ticket, std::uint64_t sequence) = 0;
    virtual void on_refused(std::uint64_t ticket, Refused how, const std::string& why) = 0;
    // nullopt: there is no message of this subject.
    virtual void on_found(std::uint64_t ticket, const std::optional<StreamMessage>& last) = 0;
    virtual void on_not_asked(std::uint64_t ticket, const std::string& why) = 0;
  };

  virtual ~Stream() = default;
  virtual void set_owner(Owner* owner) = 0;
  // Looks for it, and makes it if it may. Pre: closed, as at the start and after on_closed().
  virtual void open() = 0;
  // The rest. Pre: open. `ticket` comes back with the answer.
  virtual void publish(std::uint64_t ticket, Publication publication) = 0;
  virtual void find_last(std::uint64_t ticket, const std::string& subject) = 0;
};

}  // namespace cproto
