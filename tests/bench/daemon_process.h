// A cprotod of our own: started from beside this program, on a free port of the loopback interface, with its defaults
// and a store in the directory given; stopped by its pid.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "proto/time.h"
#include "tests/bench/child.h"

namespace cproto::bench {

class DaemonProcess {
 public:
  // What the daemon has to allow beyond its defaults.
  struct Needs {
    std::uint32_t max_packet_size = 0;  // 0: its default
    std::uint64_t segment_size = 0;     // of the journal; 0: its default
    std::string program = "cprotod";    // from beside this one
    std::string keys = {};              // a key file: TLS, beside plain text
    std::string stream = {};            // the url of a NATS server: its stream is the engine
  };
  // Waits until it listens. nullptr if it does not; `trouble` then says why, with the daemon's own words.
  static std::unique_ptr<DaemonProcess> start(const std::string& directory, const Needs& needs, std::string& trouble);

  pid_t pid() const { return child_->pid(); }
  const std::string& address() const { return address_; }  // "127.0.0.1:40123"
  const std::string& store() const { return store_; }
  std::string inbox() const { return store_ + "/inbox"; }
  // How often the journal was synced until now, and how long that took in all; zeros if it does not say.
  struct Syncs {
    double count = 0;
    double seconds = 0;
  };
  Syncs syncs() const;
  // As in a crash.
  void kill() { child_->kill(); }

  // Waits until it has done nothing for longer than the second of idleness behind which it seals its journal:
  // everything is delivered, and the segments for the next run are made. Gives up after a minute.
  void wait_until_quiet() const;

 private:
  explicit DaemonProcess(std::unique_ptr<Child> child) : child_(std::move(child)) {}
  bool is_working() const;

  std::unique_ptr<Child> child_;
  std::string address_;
  std::string store_;
};

}  // namespace cproto::bench
