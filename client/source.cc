#include "client/source.h"

#include <cstring>
#include <utility>

#include "client/binary_source.h"
#include "client/file_source.h"
#include "client/line_source.h"
#include "client/text_source.h"

namespace cproto::client {

Problem cannot_read(const std::string& path, int error, bool midway) {
  const std::string name = path == "-" ? "standard input" : printable(path);
  return {midway ? Status::io_error : Status::no_input, name + ": " + std::strerror(error)};
}

std::variant<std::unique_ptr<Source>, Problem> make_source(uv_loop_s* loop, const Options& options,
                                                           std::function<void()> wake) {
  switch (options.job) {
    case Options::Job::texts: return std::make_unique<TextSource>(options.texts);
    case Options::Job::check: return std::make_unique<TextSource>(std::vector<std::string>{});
    case Options::Job::binary_files: return std::make_unique<BinarySource>(loop, options.files, std::move(wake));
    case Options::Job::files: {
      std::vector<FileSource::File> files;
      for (const std::string& path : options.files)
        files.push_back({path, options.as.empty() ? base_name(path) : options.as});
      return std::make_unique<FileSource>(loop, std::move(files), std::move(wake));
    }
    case Options::Job::lines: break;
  }
  const std::string& path = options.files.front();
  auto source = std::make_unique<LineSource>(loop, path, std::move(wake));
  if (const int error = source->open()) return cannot_read(path, error, false);
  return source;
}

}  // namespace cproto::client
