// What the works share: the server that is measured, its limits, and the figures that come of it. Each run of cproto is
// followed by the same amount of its limits, so that what the machine does otherwise hits both alike.
#pragma once

#include <sys/socket.h>

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "tests/bench/bare_server.h"
#include "tests/bench/daemon_process.h"
#include "tests/bench/figures.h"
#include "tests/bench/load.h"
#include "tests/bench/options.h"
#include "tests/bench/plain_load.h"

namespace cproto::bench {

inline constexpr double kMega = 1e6;

// What is measured.
struct Target {
  sockaddr_storage server{};
  const DaemonProcess* daemon = nullptr;  // nullptr: one that somebody else has started
  std::string address;                    // of the server
  std::string directory;                  // where the limit of the disk is measured
};

// Why a work could not be done; empty: it was.
using Trouble = std::string;

// What failed, with what errno says of it.
Trouble trouble_with(const std::string& what);

class Benchmark {
 public:
  Benchmark(const Options& options, const Target& target);

  const Options& options() const { return options_; }
  const Target& target() const { return target_; }
  // What the server agreed to; known behind the first run.
  const SynAck& terms() const { return terms_; }
  const std::deque<Section>& sections() const { return sections_; }

  // The section stays where it is.
  Section& add_section(const std::string& work, const std::string& heading);
  // How much is to be done: what the command line says, or its part of what suits the work.
  std::uint64_t count(std::uint64_t suits) const;
  std::uint64_t scaled(std::uint64_t suits) const;

  // As the command line has it. The payload is the benchmark's.
  LoadOptions load_options(OperationMode mode, std::uint64_t count) const;
  // What so many messages of it are on the wire, and in the journal but for what it adds a batch.
  std::uint64_t frame_bytes(const LoadOptions& load) const;

  // Waits until the server is quiet, then runs. `lasting_cpu`: the server's, until it is quiet again.
  LoadResult run(const LoadOptions& load, double* lasting_cpu = nullptr);
  // Without waiting.
  LoadResult run_at_once(const LoadOptions& load);
  // The same work with the bare server.
  PlainLoadResult run_bare(const LoadOptions& load, BareServer::Reads reads = BareServer::Reads::once);
  void wait_until_quiet() const;
  double server_cpu() const;

 private:
  const Options& options_;
  Target target_;
  Bytes payload_;
  SynAck terms_;
  std::map<BareServer::Reads, std::unique_ptr<BareServer>> bare_;  // made when they are first needed
  std::deque<Section> sections_;
};

}  // namespace cproto::bench
