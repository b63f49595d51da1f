#include "tests/simulation/faults.h"

namespace cproto::sim {

const char* fault_name(Fault fault) {
  switch (fault) {
    case Fault::server_killed: return "server_killed";
    case Fault::power_cut: return "power_cut";
    case Fault::power_cut_behind_kill: return "power_cut_behind_kill";
    case Fault::died_recovering: return "died_recovering";
    case Fault::server_stopped: return "server_stopped";
    case Fault::client_killed: return "client_killed";
    case Fault::client_power_cut: return "client_power_cut";
    case Fault::client_stopped: return "client_stopped";
    case Fault::client_disk_failed: return "client_disk_failed";
    case Fault::clock_jumped: return "clock_jumped";
    case Fault::setting_changed: return "setting_changed";
    case Fault::log_renamed: return "log_renamed";
    case Fault::sync_failed: return "sync_failed";
    case Fault::sync_failed_for_long: return "sync_failed_for_long";
    case Fault::write_failed: return "write_failed";
    case Fault::no_space: return "no_space";
    case Fault::name_denied: return "name_denied";
    case Fault::job_stalled: return "job_stalled";
    case Fault::bit_misread: return "bit_misread";
    case Fault::bytes_lost: return "bytes_lost";
    case Fault::bytes_kept: return "bytes_kept";
    case Fault::torn_at_sector: return "torn_at_sector";
    case Fault::torn_at_byte: return "torn_at_byte";
    case Fault::sectors_out_of_order: return "sectors_out_of_order";
    case Fault::names_lost: return "names_lost";
    case Fault::names_out_of_order: return "names_out_of_order";
    case Fault::stream_away: return "stream_away";
    case Fault::stream_cut: return "stream_cut";
    case Fault::stream_full: return "stream_full";
    case Fault::stream_late: return "stream_late";
    case Fault::publication_lost: return "publication_lost";
    case Fault::publication_refused: return "publication_refused";
    case Fault::answer_lost: return "answer_lost";
    case Fault::stale_answer: return "stale_answer";
    case Fault::written_elsewhere: return "written_elsewhere";
    case Fault::connection_cut: return "connection_cut";
    case Fault::half_open: return "half_open";
    case Fault::one_way: return "one_way";
    case Fault::frame_lost: return "frame_lost";
    case Fault::frame_repeated: return "frame_repeated";
    case Fault::frame_overtaken: return "frame_overtaken";
    case Fault::bytes_corrupted: return "bytes_corrupted";
    case Fault::long_delay: return "long_delay";
    case Fault::slow_reader: return "slow_reader";
    case Fault::count: break;
  }
  return "";
}

}  // namespace cproto::sim
