// What the arguments said: the whole of what the rest of the client knows of them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/addresses.h"
#include "proto/options.h"
#include "proto/time.h"

namespace cproto::client {

struct Options {
  enum class Job { texts, lines, binary_files, files, follow, journal, check };

  Job job = Job::lines;
  std::vector<std::string> texts;    // Job::texts
  std::vector<std::string> files;    // Job::lines: one; Job::binary_files, Job::files. "-" is standard input
  std::string as;                    // Job::files: the one file's name there; empty: its own
  std::vector<std::string> matches;  // Job::journal
  std::string journal_directory;     // Job::journal; empty: this machine's
  bool from_end = false;             // Job::follow, Job::journal: a first run begins at the end
  bool restart = false;              // what an earlier run left is not gone on with
  std::string state_directory;       // where it is remembered; empty: nowhere
  MessageKind kind = MessageKind::text;

  std::vector<ServerAddress> servers;
  OperationMode mode = OperationMode::burst;
  std::uint32_t window_size = kWindowMax;
  std::uint32_t max_packet_size = 64 * 1024;
  std::string congestion = "auto";  // congestion.h
  std::string client_id;
  std::string channel = "messages";
  std::optional<Duration> timeout;  // nullopt: what the source calls for; 0: never

  // It goes on until somebody ends it.
  bool is_endless() const { return job == Job::follow || job == Job::journal; }

  bool quiet = false;
  bool verbose = false;
  bool json = false;
  bool trace = false;
};

}  // namespace cproto::client
