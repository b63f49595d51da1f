// The command line of cproto-bench. Knows nothing of what is measured.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "proto/options.h"

namespace cproto::bench {

struct Options {
  std::uint64_t count = 0;  // messages of a run; 0: what suits the work
  std::size_t size = 100;   // bytes of a message
  std::uint32_t window = kWindowMax;
  std::uint32_t packet = 64 * 1024;
  std::size_t connections = 1;
  OperationMode mode = OperationMode::burst;  // of throughput; latency is step-by-step
  std::uint64_t file_size = 2ull << 30;       // bytes; the file beside messages has five times as many
  std::size_t runs = 5;
  double scale = 1;  // of what suits a work
  std::vector<std::string> works = {"all"};
  std::string server;     // HOST:PORT; empty: a cprotod of our own
  std::string directory;  // where the temporary directory is made; never empty
  bool is_json = false;
};

// Returns -1 to go on, or the status to end with.
int parse(int argc, char** argv, Options& options);

}  // namespace cproto::bench
