#include "tests/simulation/disk_faults.h"

#include <algorithm>
#include <array>
#include <cerrno>

namespace cproto::sim {

namespace {

using Kind = FileOp::Kind;

// What goes by a name, which a folder may not let it do.
constexpr std::array kNaming{Kind::open,        Kind::open_to_read, Kind::open_or_create, Kind::make_directory,
                             Kind::make_folder, Kind::make_link,    Kind::rename,         Kind::move_file,
                             Kind::move_beside, Kind::remove,       Kind::status_of_path, Kind::expect_identity,
                             Kind::list,        Kind::measure};
bool goes_by_name(Kind kind) { return std::find(kNaming.begin(), kNaming.end(), kind) != kNaming.end(); }

bool takes_descriptor(Kind kind) {
  return kind == Kind::open || kind == Kind::open_to_read || kind == Kind::open_or_create || kind == Kind::list;
}

}  // namespace

Duration DiskFaults::draw_latency() {
  if (!is_healed_ && random_.chance(plan_.stall)) {
    coverage_.add(Fault::job_stalled);
    return std::chrono::milliseconds(random_.between(100, 3000));
  }
  return Duration(
      static_cast<std::int64_t>(random_.between(20'000, static_cast<std::uint64_t>(plan_.latency_max.count()))));
}

int DiskFaults::draw_error(Instant now, const FileOp& op, const std::string& path) {
  if (is_healed_) return 0;
  const bool syncs = op.kind == Kind::sync_data || op.kind == Kind::sync_all || op.kind == Kind::sync_directory;
  const bool writes = op.kind == Kind::write || op.kind == Kind::append || op.kind == Kind::append_file ||
                      op.kind == Kind::write_file || op.kind == Kind::zero_fill || op.kind == Kind::reserve;
  if (syncs) return draw_sync_error(now, path.starts_with("/store/journal"));
  if (goes_by_name(op.kind) && random_.chance(plan_.denied)) return fail(Fault::name_denied, draw_denial(op.kind));
  if (!writes) return 0;
  if (random_.chance(plan_.no_space)) return fail(Fault::no_space, ENOSPC);
  if (plan_.fills_up && now >= full_until_ && random_.chance(0.2)) full_until_ = now + 3s;
  // What was written before has its place.
  const bool takes_space = op.kind != Kind::write || path.ends_with(".file");
  if (now < full_until_ && takes_space) return fail(Fault::no_space, ENOSPC);
  return random_.chance(plan_.write_failure) ? fail(Fault::write_failed, EIO) : 0;
}

int DiskFaults::draw_denial(FileOp::Kind kind) {
  if (takes_descriptor(kind) && random_.chance(50)) return EMFILE;
  return random_.chance(50) ? EACCES : EIO;
}

int DiskFaults::draw_sync_error(Instant now, bool is_journal) {
  if (now < bad_until_) return fail(Fault::sync_failed_for_long, EIO);
  if (!random_.chance(is_journal ? plan_.sync_failure : plan_.inbox_failure)) return 0;
  if (random_.chance(plan_.lasting))
    bad_until_ = random_.chance(20) ? kNever : now + std::chrono::milliseconds(random_.between(100, 20'000));
  return fail(Fault::sync_failed, EIO);
}

std::optional<std::uint64_t> DiskFaults::draw_misread(std::uint64_t bits) {
  if (is_healed_ || !random_.chance(plan_.misread)) return std::nullopt;
  coverage_.add(Fault::bit_misread);
  return random_.below(bits);
}

}  // namespace cproto::sim
