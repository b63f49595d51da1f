// What can go wrong in a run, and how often it did: over many runs no kind may be missing.
#pragma once

#include <array>
#include <cstdint>

namespace cproto::sim {

enum class Fault : std::uint8_t {
  // processes
  server_killed,
  power_cut,
  power_cut_behind_kill,  // what the killed one left unsynced was readable meanwhile
  died_recovering,
  server_stopped,
  client_killed,
  client_power_cut,
  client_stopped,
  client_disk_failed,  // where it remembers, or where its log is
  clock_jumped,        // the one that gives files their times
  setting_changed,     // between two lives of the server
  log_renamed,
  // the disk
  sync_failed,
  sync_failed_for_long,
  write_failed,
  no_space,
  name_denied,  // to open, make, rename or look at
  job_stalled,
  bit_misread,
  // what power cuts do to bytes and names that were not synced
  bytes_lost,
  bytes_kept,
  torn_at_sector,
  torn_at_byte,
  sectors_out_of_order,
  names_lost,
  names_out_of_order,
  // the servers of a stream, and the way to them
  stream_away,
  stream_cut,
  stream_full,
  stream_late,
  publication_lost,
  publication_refused,
  answer_lost,
  stale_answer,       // of a server that is behind
  written_elsewhere,  // another message was the last of the subject
  // the network
  connection_cut,
  half_open,
  one_way,
  frame_lost,
  frame_repeated,
  frame_overtaken,
  bytes_corrupted,
  long_delay,
  slow_reader,
  count,
};
inline constexpr std::size_t kFaults = static_cast<std::size_t>(Fault::count);

class Coverage {
 public:
  void add(Fault fault, std::uint64_t times = 1) { times_[static_cast<std::size_t>(fault)] += times; }
  void add(const Coverage& other) {
    for (std::size_t i = 0; i < kFaults; ++i) times_[i] += other.times_[i];
  }
  std::uint64_t times(Fault fault) const { return times_[static_cast<std::size_t>(fault)]; }

 private:
  std::array<std::uint64_t, kFaults> times_{};
};

// "power_cut_behind_kill"
const char* fault_name(Fault fault);

}  // namespace cproto::sim
