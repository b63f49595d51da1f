// What the client's sources meet of the machine they run on: its disk, its clock, and how to wait for either without
// holding up the loop. With Files the whole edge of the client, but for the network (Transfer::Network). Two
// implementations: libuv's, and the simulator's.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "client/byte_input.h"
#include "client/files.h"
#include "proto/time.h"

namespace cproto::client {

// Tells when a log may have changed.
class LogWatch {
 public:
  virtual ~LogWatch() = default;
  // Calls `wake` once, from the loop: when there is news of the file `path`, or of any in its directory if
  // `with_others`, or when a poll is due.
  virtual void arm(const std::string& path, bool with_others) = 0;
};

// A pipe, a terminal or a socket: what is read from it is gone. A file, too, where it comes in a pipe's place.
class Stream : public ByteInput {
 public:
  // "-" is standard input. Returns 0 or errno.
  [[nodiscard]] virtual int open(const std::string& path) = 0;
  virtual void close() = 0;
  virtual bool is_open() const = 0;
};

class Machine {
 public:
  virtual ~Machine() = default;

  virtual Files& files() = 0;
  virtual Instant now() const = 0;
  // Carries out `work` beside the loop, then `done` from it. Neither throws.
  virtual void run_aside(std::function<void()> work, std::function<void()> done) = 0;
  // `wake` comes from the loop: after arm(), `poll` later at the latest.
  virtual std::unique_ptr<LogWatch> watch_log(Duration poll, std::function<void()> wake) = 0;
  // `wake` may come from the loop after fill() has said wait; never from within fill().
  virtual std::unique_ptr<Stream> make_stream(std::function<void()> wake) = 0;
};

}  // namespace cproto::client
