// The works: what is run in which order, and which figures come of it. Each run of cproto is followed by the same
// amount of its limits, so that what the machine does otherwise hits both alike.
#pragma once

#include <sys/socket.h>

#include <optional>
#include <string>
#include <variant>

#include "tests/bench/daemon_process.h"
#include "tests/bench/figures.h"
#include "tests/bench/load.h"
#include "tests/bench/options.h"

namespace cproto::bench {

// What is measured.
struct Target {
  sockaddr_storage server{};
  const DaemonProcess* daemon = nullptr;  // nullptr: one that somebody else has started
  std::string address;                    // of the server
  std::string directory;                  // where the limit of the disk is measured
};

// Why a work could not be done.
using Trouble = std::string;

class Benchmark {
 public:
  Benchmark(const Options& options, const Target& target);

  std::variant<Section, Trouble> measure_throughput();
  std::variant<Section, Trouble> measure_latency();
  // One file: cproto-send to the daemon, `dd conv=fdatasync`, and rsync to a daemon of its own, where there is one.
  std::variant<Section, Trouble> measure_file();
  // What a message waits for while a file comes in on another connection, and while nothing does.
  std::variant<Section, Trouble> measure_fairness();

  // What the server agreed to; known behind the first run.
  const SynAck& terms() const { return terms_; }

 private:
  LoadOptions load_options(OperationMode mode, std::uint64_t count) const;
  std::uint64_t frame_bytes(std::uint64_t messages) const;
  // Waits until the server is quiet, then runs. `lasting_cpu`: the server's, until it is quiet again.
  LoadResult run(const LoadOptions& load, double* lasting_cpu = nullptr);
  void wait_until_quiet() const;
  double server_cpu() const;

  const Options& options_;
  Target target_;
  Bytes payload_;
  SynAck terms_;
};

}  // namespace cproto::bench
