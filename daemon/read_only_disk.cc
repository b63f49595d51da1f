#include "daemon/read_only_disk.h"

#include <cerrno>
#include <utility>

namespace cproto {

namespace {

// Returns errno.
int make_harmless(FileOp& op, FileStatus& ignored) {
  using Kind = FileOp::Kind;
  switch (op.kind) {
    case Kind::open: op.kind = Kind::open_to_read; return 0;
    case Kind::make_directory:
    case Kind::make_folder:
    case Kind::remove:
      op.kind = Kind::status_of_path;
      op.status = &ignored;
      return 0;
    case Kind::open_to_read:
    case Kind::close:
    case Kind::read:
    case Kind::status:
    case Kind::status_of_path:
    case Kind::expect_identity:
    case Kind::expect_kept:
    case Kind::expect_size:
    case Kind::list:
    case Kind::space_of_path:
    case Kind::measure:
    case Kind::hash: return 0;
    case Kind::create:
    case Kind::open_or_create:
    case Kind::write:
    case Kind::append:
    case Kind::write_file:
    case Kind::append_file:
    case Kind::zero_fill:
    case Kind::sync_data:
    case Kind::sync_all:
    case Kind::sync_directory:
    case Kind::reserve:
    case Kind::share:
    case Kind::finish:
    case Kind::drop_cached:
    case Kind::make_link:
    case Kind::rename:
    case Kind::move_file:
    case Kind::move_beside: return EROFS;
  }
  return EROFS;
}

}  // namespace

JobResult ReadOnlyDisk::run(Job& job) {
  FileStatus ignored;
  for (std::size_t i = 0; i < job.size(); ++i)
    if (const int error = make_harmless(job[i], ignored)) return {.error = error, .operation = i};
  return disk_.run(job);
}

void ReadOnlyDisk::submit(Job job, std::function<void(JobResult)> done) { done(run(job)); }

}  // namespace cproto
