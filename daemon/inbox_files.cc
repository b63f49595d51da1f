#include "daemon/inbox_files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "config/wording.h"

namespace cproto {

namespace {

constexpr std::uint32_t kDirectoryMode = 02750;
constexpr std::size_t kFilesPerJob = 64;
constexpr std::size_t kFoldersKnown = 1000;
constexpr Duration kRetry = 5s;

// Of opening a folder: says nothing of what is on the disk.
bool is_of_its_name(int error) {
  return error == ENOENT || error == ENOTDIR || error == ELOOP || error == EACCES || error == EPERM ||
         error == EMFILE || error == ENFILE;
}

bool has_same_place(const CheckpointRecord::File& one, const CheckpointRecord::File& other) {
  return one.name == other.name && one.client_id == other.client_id;
}

}  // namespace

void InboxFiles::take(const CheckpointRecord::File& file) {
  const bool is_known = std::any_of(pending_.begin(), pending_.end(), [&](const Pending& one) {
    return one.file.session == file.session && one.file.first == file.first;
  });
  if (is_known) return;
  const bool is_second =
      std::any_of(pending_.begin(), pending_.end(), [&](const Pending& one) { return has_same_place(one.file, file); });
  pending_.push_back({file, is_second, false, {}, {}});
  ++pending_of_[file.client_id];
}

// The last of a name is to be there in the end: one before it in the order of its coming is not in this job.
bool InboxFiles::is_held_up(const Pending& pending) const {
  if (!pending.is_second) return false;
  return std::any_of(pending_.data(), &pending,
                     [&](const Pending& one) { return !one.is_in_job && has_same_place(one.file, pending.file); });
}

std::string InboxFiles::over_share(const std::string& client) const {
  const auto it = pending_of_.find(client);
  if (it == pending_of_.end() || it->second < kInboxFilesOfClientMax) return {};
  const auto blocked = std::find_if(pending_.begin(), pending_.end(), [&](const Pending& one) {
    return one.file.client_id == client && !one.trouble.empty();
  });
  if (blocked == pending_.end()) return {};
  return printable(target_of(blocked->file)) + " cannot be put there (" + blocked->trouble + ")";
}

void InboxFiles::add_wanted(std::set<std::string>& paths) const {
  for (const Pending& one : pending_) paths.insert(file_part_path(parts_, one.file.session, one.file.first));
}

void InboxFiles::add_to(CheckpointRecord& checkpoint) const {
  for (const Pending& one : pending_) checkpoint.files.push_back(one.file);
}

void InboxFiles::visit(const OnPlaced& each) const {
  for (const Pending& one : pending_) each(one.file.session, one.file.first);
}

Job InboxFiles::placing_job(Instant now) {
  Job job;
  std::set<std::string> folders;
  end_of_.clear();
  for (Pending& one : pending_) {
    one.is_in_job = one.blocked_until <= now && end_of_.size() < kFilesPerJob && !is_held_up(one);
    if (!one.is_in_job) continue;
    const std::string client = directory_ + "/" + one.file.client_id;
    const std::string part = file_part_path(parts_, one.file.session, one.file.first);
    if (!made_.contains(one.file.client_id) && !folders.contains(client + "/files")) add_folders(client, job);
    job.push_back(existing_ == ExistingFile::keep ? file_op::move_beside(part, target_of(one.file))
                                                  : file_op::move_file(part, target_of(one.file)));
    folders.insert(client + "/files");
    end_of_.push_back(job.size());
  }
  for (const std::string& folder : folders) job.push_back(file_op::sync_directory(folder));
  synced_.assign(folders.begin(), folders.end());
  return job;
}

// Durable before a file moves in: a rename into a folder that a power cut takes would lose the file from both places.
void InboxFiles::add_folders(const std::string& client, Job& job) const {
  job.push_back(file_op::make_folder(client, kDirectoryMode));
  job.push_back(file_op::make_folder(client + "/files", kDirectoryMode));
  job.push_back(file_op::sync_directory(directory_));
  job.push_back(file_op::sync_directory(client));
}

bool InboxFiles::on_placed(Instant now, JobResult result) {
  if (!result.ok() && result.operation >= end_of_.back()) {
    if (!is_of_its_name(result.error)) return false;
    // It was renamed since, or is closed to us. The others are renamed, and synced by the next job.
    const std::string& folder = synced_[result.operation - end_of_.back()];
    for (Pending& one : pending_)
      if (one.is_in_job && directory_ + "/" + one.file.client_id + "/files" == folder) block(one, now, result.error);
    return true;
  }
  if (!result.ok()) {
    // The ones before it were renamed and not synced: the next job finds nothing to rename, and syncs.
    auto end = end_of_.begin();
    for (Pending& one : pending_) {
      if (!one.is_in_job || result.operation >= *end++) continue;
      block(one, now, result.error);
      return true;
    }
  }
  std::vector<CheckpointRecord::File> placed;
  if (made_.size() > kFoldersKnown) made_.clear();
  std::erase_if(pending_, [&](Pending& one) {
    if (!one.is_in_job) return false;
    if (!one.trouble.empty())
      log_.info(LogEvent::inbox_writable, printable(target_of(one.file)) + " can be written again",
                {.client = one.file.client_id});
    made_.insert(one.file.client_id);
    if (--pending_of_[one.file.client_id] == 0) pending_of_.erase(one.file.client_id);
    placed.push_back(std::move(one.file));
    return true;
  });
  if (!on_placed_) return true;
  for (const CheckpointRecord::File& file : placed) on_placed_(file.session, file.first);
  return true;
}

void InboxFiles::block(Pending& pending, Instant now, int error) {
  // Somebody may have removed the folders.
  if (made_.erase(pending.file.client_id) > 0 && error == ENOENT) return;
  pending.blocked_until = now + kRetry;
  const std::string trouble = std::strerror(error);
  if (pending.trouble != trouble)
    log_.warn(LogEvent::inbox_blocked,
              printable(target_of(pending.file)) + ": cannot be put there (" + trouble + "); the file waits",
              {.client = pending.file.client_id});
  pending.trouble = trouble;
}

Instant InboxFiles::next_deadline(Instant now) const {
  Instant next = kNever;
  for (const Pending& one : pending_)
    if (one.blocked_until > now) next = std::min(next, one.blocked_until);
  return next;
}

}  // namespace cproto
