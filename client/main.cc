// cproto-send: moves messages and lines to a cprotod.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <exception>
#include <string>
#include <variant>
#include <vector>

#include "client/cli.h"
#include "client/command.h"
#include "client/console.h"
#include "client/status.h"

namespace {

// A closed standard stream must not become a socket, to which messages for people would be written. Reading the
// stand-in fails, writing to it is lost.
void occupy_standard_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) < 0) (void)::open("/dev/null", O_WRONLY);
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

int run(const std::vector<std::string>& arguments) {
  const cproto::client::Surroundings surroundings{environment, host_name(), ::isatty(STDIN_FILENO) == 1};
  const auto parsed = cproto::client::parse_arguments(arguments, surroundings);
  if (const auto* answer = std::get_if<cproto::client::Answer>(&parsed)) {
    cproto::client::Console::print(answer->text);
    return 0;
  }
  if (const auto* error = std::get_if<cproto::client::UsageError>(&parsed)) {
    cproto::client::Console(0).say(error->text + " (see cproto-send --help)");
    return static_cast<int>(cproto::client::Status::usage);
  }
  return cproto::client::run_command(std::get<cproto::client::Options>(parsed));
}

}  // namespace

int main(int argc, char** argv) {
  occupy_standard_streams();
  try {
    return run(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
  } catch (const std::bad_alloc&) {
    cproto::client::Console(0).say("out of memory");
    return static_cast<int>(cproto::client::Status::os_error);
  } catch (const std::exception& error) {
    cproto::client::Console(0).say(std::string("a bug: ") + error.what());
    return static_cast<int>(cproto::client::Status::software);
  }
}
