#include "client/recall.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "proto/digest.h"

namespace cproto::client {

namespace {

const char* kind_of(const Options& options) {
  if (options.job == Options::Job::follow) return ".follow";
  if (options.job == Options::Job::journal) return ".journal";
  return options.job == Options::Job::lines ? ".lines" : ".files";
}

// Names the transfer among all that are remembered here: "the same command". A log that is followed is the same
// wherever its store is reached; so is the journal, through the same matches.
std::string name_of(const Options& options) {
  std::string key = options.client_id + '\n' + options.channel + '\n' + options.as;
  if (!options.is_endless())
    for (const ServerAddress& server : options.servers) key += '\n' + to_string(server);
  std::vector<std::string> paths = options.files;
  if (!options.journal_directory.empty()) paths.push_back(options.journal_directory);
  for (const std::string& path : paths) {
    std::error_code failed;
    key += '\n' + std::filesystem::absolute(path, failed).lexically_normal().string();
  }
  for (const std::string& match : options.matches) key += '\n' + match;
  FileDigest digest;
  digest.update(as_bytes(key));
  return to_hex(ByteView(digest.value()).first(8)) + kind_of(options);
}

Problem cannot_follow(const Options& options, int error) {
  const char* advice = options.state_directory.empty() ? "" : "; say a folder to remember in with --state DIR";
  return {Status::cant_create, cannot_write(options, error) + advice};
}

// What may have been sent already is not sent again unasked.
Problem cannot_compare(const Options& options, int error) {
  Problem problem = cannot_read(options.files.front(), error, true);
  problem.sentence += "; it cannot be told whether an earlier run sent it; --restart begins anew";
  return problem;
}

Problem cannot_recall(const Options& options, int error) {
  const char* advice = options.is_endless() ? "" : "; --restart begins anew";
  return {Status::cant_create,
          cannot_write(options, error) + "; what an earlier run left there cannot be read" + advice};
}

Problem running_already(const Options& options, pid_t pid) {
  std::string what = "the same transfer is running";
  if (options.job == Options::Job::follow) what = printable(options.files.front()) + " is being followed";
  if (options.job == Options::Job::journal) what = "the journal is being sent";
  return {Status::temp_fail, what + " already (pid " + std::to_string(pid) + ")"};
}

}  // namespace

std::string cannot_write(const Options& options, int error) {
  if (options.state_directory.empty()) return "no folder to remember in (--state DIR)";
  return printable(options.state_directory) + ": " + std::strerror(error);
}

std::string cannot_remember(const Options& options, int error) {
  return cannot_write(options, error) + "; if this is interrupted it will begin anew";
}

std::variant<std::optional<SavedTransfer>, Problem> recall(const Options& options, const Source& source,
                                                           TransferState& state, Progress& progress) {
  if (!source.can_continue()) return std::nullopt;
  const int error = options.state_directory.empty() ? ENOENT : state.open(options.state_directory, name_of(options));
  if (error == EWOULDBLOCK) return running_already(options, state.holder());
  if (error != 0 && options.is_endless()) return cannot_follow(options, error);
  std::optional<SavedTransfer> saved;
  const bool is_closed = error != 0 && !state.is_open() && state.is_there();
  const int unread = is_closed ? error : state.load(saved);
  if (unread != 0 && !options.restart) return cannot_recall(options, unread);
  if (saved && !options.restart) {
    bool is_known = true;
    const int uncompared = saved->bookmarks.empty() ? 0 : source.knows(saved->bookmarks.back(), is_known);
    if (uncompared != 0) return cannot_compare(options, uncompared);
    if (is_known) {
      const int refusal = state.keep();
      if (refusal == 0) return saved;
      if (options.is_endless()) return cannot_follow(options, refusal);
      progress.on_note(cannot_write(options, refusal) + "; if this is interrupted it may begin anew");
      return saved;
    }
    progress.on_note(printable(options.files.front()) + ": changed since it was interrupted; sent from its beginning");
  }
  if (error == 0 && unread == 0) return std::nullopt;
  // An entry that stays would lead the next run to where this one did not go.
  const int refusal = state.remove();
  const bool is_left = refusal != 0 && (saved || unread != 0);
  if (is_left && options.restart) return Problem{Status::cant_create, cannot_write(options, refusal)};
  state.close();
  progress.on_note(cannot_remember(options, error != 0 ? error : unread));
  return std::nullopt;
}

}  // namespace cproto::client
