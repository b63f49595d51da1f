#include "client/console.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace cproto::client {

namespace {

constexpr int kPatienceMs = 1000;

// The stream may have been made non-blocking by somebody who shares it.
void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = ::write(fd, text.data(), text.size());
    if (size >= 0) {
      text.remove_prefix(static_cast<std::size_t>(size));
    } else if (errno == EAGAIN) {
      pollfd wait{fd, POLLOUT, 0};
      if (::poll(&wait, 1, kPatienceMs) <= 0) return;
    } else if (errno != EINTR) {
      return;
    }
  }
}

// What does not fit is left out in front: the figures and the next try are at the end.
std::string fitting(std::string_view line, std::size_t width) {
  if (line.size() <= width) return std::string(line);
  constexpr std::string_view kMark = "...";
  return width < kMark.size() ? "" : std::string(kMark).append(line.substr(line.size() - width + kMark.size()));
}

}  // namespace

void Console::say(std::string_view line) {
  show("");
  std::string text("cproto-send: ");
  write_all(STDERR_FILENO, text.append(line).append("\n"));
}

void Console::raw(std::string_view text) {
  show("");
  write_all(STDERR_FILENO, text);
}

void Console::show(std::string_view wanted) {
  std::string line = fitting(wanted, columns_ > 0 ? columns_ - 1 : 0);
  if (line == shown_) return;
  write_all(STDERR_FILENO, "\r" + line + "\x1b[K");
  shown_ = std::move(line);
}

void Console::print(std::string_view text) { write_all(STDOUT_FILENO, text); }

}  // namespace cproto::client
