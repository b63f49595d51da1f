#include "client/source.h"

#include <cstring>

#include "client/binary_source.h"
#include "client/input.h"
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
    case Options::Job::lines: break;
  }
  const std::string& path = options.files.front();
  auto input = std::make_unique<Input>(loop, std::move(wake));
  if (const int error = input->open(path)) return cannot_read(path, error, false);
  return std::make_unique<LineSource>(path, std::move(input));
}

}  // namespace cproto::client
