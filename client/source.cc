#include "client/source.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "client/binary_source.h"
#include "client/file_input.h"
#include "client/file_source.h"
#include "client/follow_input.h"
#include "client/input.h"
#include "client/journal_source.h"
#include "client/kept_lines.h"
#include "client/line_source.h"
#include "client/text_source.h"

namespace cproto::client {

Problem cannot_read(const std::string& path, int error, bool midway) {
  const std::string name = path == "-" ? "standard input" : path.empty() ? "\"\"" : printable(path);
  const bool was_closed = error == EBADF;  // by whoever started us, before anything was read
  return {midway && !was_closed ? Status::io_error : Status::no_input, name + ": " + std::strerror(error)};
}

namespace {

using Made = std::variant<std::unique_ptr<Source>, Problem>;

Made make_lines(uv_loop_s* loop, const std::string& path, std::function<void()> wake) {
  const std::optional<FileFacts> facts = path == "-" ? std::nullopt : facts_of(path);
  if (facts && why_no_log(facts->mode) == 0) {
    auto input = std::make_unique<FileInput>();
    if (const int error = input->open(path)) return cannot_read(path, error, false);
    return std::make_unique<KeptLines>(path, std::move(input), false, now);
  }
  auto input = std::make_unique<Input>(loop, std::move(wake));
  if (const int error = input->open(path)) return cannot_read(path, error, false);
  return std::make_unique<LineSource>(path, std::move(input));
}

Made make_followed(uv_loop_s* loop, const Options& options, std::function<void()> wake, LogListener& listener) {
  const std::string& path = options.files.front();
  if (const auto facts = facts_of(path))
    if (const int error = why_no_log(facts->mode)) return cannot_read(path, error, false);
  auto input = std::make_unique<FollowInput>(loop, path, options.from_end, std::move(wake), listener);
  return std::make_unique<KeptLines>(path, std::move(input), true, now);
}

Made make_journal(uv_loop_s* loop, const Options& options, std::function<void()> wake, LogListener& listener) {
  auto reader = std::make_unique<JournalReader>();
  if (auto problem = reader->open(options.journal_directory, options.matches)) return *problem;
  return std::make_unique<JournalSource>(loop, std::move(reader), options.from_end, now, std::move(wake), [&listener] {
    listener.on_lost(
        {"entries of the journal were removed, perhaps before they were sent", 0, LostBytes::Amount::unknown});
  });
}

}  // namespace

Made make_source(uv_loop_s* loop, const Options& options, std::function<void()> wake, LogListener& listener) {
  switch (options.job) {
    case Options::Job::texts: return std::make_unique<TextSource>(options.texts);
    case Options::Job::check: return std::make_unique<TextSource>(std::vector<std::string>{});
    case Options::Job::binary_files: return std::make_unique<BinarySource>(loop, options.files, std::move(wake));
    case Options::Job::lines: return make_lines(loop, options.files.front(), std::move(wake));
    case Options::Job::follow: return make_followed(loop, options, std::move(wake), listener);
    case Options::Job::journal: return make_journal(loop, options, std::move(wake), listener);
    case Options::Job::files: break;
  }
  std::vector<FileSource::File> files;
  for (const std::string& path : options.files)
    files.push_back({path, options.as.empty() ? base_name(path) : options.as});
  return std::make_unique<FileSource>(loop, std::move(files), std::move(wake));
}

}  // namespace cproto::client
