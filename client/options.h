// What the arguments said: the whole of what the rest of the client knows of them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/addresses.h"
#include "proto/handshake.h"
#include "proto/options.h"
#include "proto/time.h"

namespace cproto::client {

// Files, none of them read yet.
struct TlsOptions {
  std::string key;
  std::string ca;
  std::string certificate;
  std::string certificate_key;
  std::string server_name;      // whom the server's certificate is to be for; empty: the host that was named
  bool trusts_machine = false;  // the authorities this machine believes
  bool is_wanted() const { return trusts_machine || !key.empty() || !ca.empty() || !certificate.empty(); }
};

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
  Require required = Require::any;
  std::string client_id;
  bool client_id_is_given = false;  // else whoever key or certificate names comes first
  std::string channel = "messages";
  std::optional<Duration> timeout;  // nullopt: what the source calls for; 0: never

  TlsOptions tls;

  // It goes on until somebody ends it.
  bool is_endless() const { return job == Job::follow || job == Job::journal; }

  bool quiet = false;
  bool verbose = false;
  bool json = false;
  bool trace = false;
};

}  // namespace cproto::client
