#include "client/source.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "client/binary_source.h"
#include "client/file_input.h"
#include "client/file_source.h"
#include "client/follow_input.h"
#include "client/kept_lines.h"
#include "client/line_source.h"
#include "client/machine.h"
#include "client/text_source.h"
#include "proto/assert.h"

namespace cproto::client {

Problem cannot_read(const std::string& path, int error, bool midway) {
  const std::string name = path == "-" ? "standard input" : path.empty() ? "\"\"" : printable(path);
  const bool was_closed = error == EBADF;  // by whoever started us, before anything was read
  return {midway && !was_closed ? Status::io_error : Status::no_input, name + ": " + std::strerror(error)};
}

namespace {

using Made = std::variant<std::unique_ptr<Source>, Problem>;

auto clock_of(Machine& machine) {
  return [&machine] { return machine.now(); };
}

Made make_lines(Machine& machine, const std::string& path, std::function<void()> wake) {
  const std::optional<FileFacts> facts = path == "-" ? std::nullopt : machine.files().facts_of(path);
  if (path != "-" && !facts) return cannot_read(path, errno, false);
  if (facts && why_no_log(facts->mode) == 0) {
    auto input = std::make_unique<FileInput>(machine.files());
    if (const int error = input->open(path)) return cannot_read(path, error, false);
    return std::make_unique<KeptLines>(path, std::move(input), false, clock_of(machine));
  }
  auto input = machine.make_stream(std::move(wake));
  if (const int error = input->open(path)) return cannot_read(path, error, false);
  return std::make_unique<LineSource>(path, std::move(input));
}

Made make_followed(Machine& machine, const Options& options, std::function<void()> wake, LogListener& listener) {
  const std::string& path = options.files.front();
  if (const auto facts = machine.files().facts_of(path))
    if (const int error = why_no_log(facts->mode)) return cannot_read(path, error, false);
  auto input = std::make_unique<FollowInput>(machine, path, options.from_end, std::move(wake), listener);
  return std::make_unique<KeptLines>(path, std::move(input), true, clock_of(machine));
}

}  // namespace

Made make_source(Machine& machine, const Options& options, std::function<void()> wake, LogListener& listener) {
  switch (options.job) {
    case Options::Job::texts: return std::make_unique<TextSource>(options.texts);
    case Options::Job::check: return std::make_unique<TextSource>(std::vector<std::string>{});
    case Options::Job::binary_files: return std::make_unique<BinarySource>(machine, options.files, std::move(wake));
    case Options::Job::lines: return make_lines(machine, options.files.front(), std::move(wake));
    case Options::Job::follow: return make_followed(machine, options, std::move(wake), listener);
    case Options::Job::journal:
    case Options::Job::files: break;
  }
  CPROTO_ASSERT(options.job == Options::Job::files);
  std::vector<FileSource::File> files;
  for (const std::string& path : options.files)
    files.push_back({path, options.as.empty() ? base_name(path) : options.as});
  return std::make_unique<FileSource>(machine, std::move(files), std::move(wake));
}

}  // namespace cproto::client
