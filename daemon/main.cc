// cprotod: arguments, configuration, and the daemon between them.
#include <CLI/CLI.hpp>

#include <cerrno>
#include <cstdio>
#include <string>

#include "config/loader.h"
#include "config/print.h"
#include "config/version.h"
#include "config/wording.h"
#include "daemon/daemon.h"
#include "daemon/exit_status.h"
#include "daemon/logging.h"
#include "daemon/store_lock.h"
#include "daemon/tls_files.h"
#include "daemon/uv_disk.h"
#include "daemon/verify.h"

namespace {

using namespace cproto;

struct Arguments {
  std::string config;
  Overrides overrides;
  bool check_config = false;
  bool print_config = false;
  bool verify = false;
};

Severity to_severity(LogLevel level) {
  switch (level) {
    case LogLevel::error: return Severity::error;
    case LogLevel::warn: return Severity::warn;
    case LogLevel::info: return Severity::info;
    case LogLevel::debug: return Severity::debug;
  }
  return Severity::info;
}

LoadResult load_config(const Arguments& arguments) {
  return arguments.config.empty() ? load_if_present(kConfigPath, arguments.overrides)
                                  : load(arguments.config, arguments.overrides);
}

// Returns -1 to go on, or the status to end with.
int parse(int argc, char** argv, Arguments& arguments) {
  CLI::App app{"Receives messages over the cproto protocol and acknowledges them when they are on disk.", "cprotod"};
  app.add_option("--config", arguments.config, "Configuration file (default: /etc/cproto.toml, if it is there)");
  app.add_option("--directory", arguments.overrides.directory,
                 "Where journal, sessions and inbox are (store.directory)");
  app.add_option("--host", arguments.overrides.host, "Address to listen on (listen.host)");
  app.add_option("--port", arguments.overrides.port, "Port to listen on; 0 picks a free one (listen.port)");
  app.add_option("--max-size", arguments.overrides.max_size, "Largest packet (session.max_packet_size)");
  app.add_flag("--check-config", arguments.check_config, "Check the configuration and end");
  app.add_flag("--print-config", arguments.print_config, "Print the configuration in force and end");
  app.add_flag("--verify", arguments.verify, "Read the store, say what is in it and what is damaged, and end");
  app.set_version_flag("--version", version_line("cprotod"));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_status::kUsage;
  }
  return -1;
}

// Of a store that no daemon uses; changes nothing.
int verify(const Config& config) {
  const std::string& directory = config.store.directory;
  const auto fail = [](int status, const std::string& sentence) {
    std::fprintf(stderr, "cprotod: %s\n", sentence.c_str());
    return status;
  };
  StoreLock lock;
  if (const int error = lock.look(directory); error == EWOULDBLOCK)
    return fail(exit_status::kTemporaryFailure,
                "another cprotod (pid " + lock.holder() + ") uses " + directory + "; ask it: cprotoctl verify");
  uv_loop_t loop;
  uv_loop_init(&loop);
  UvDisk disk(&loop, [] {});
  const Verification found = verify_store(disk, directory);
  uv_loop_close(&loop);
  if (found.problem)
    return fail(found.problem->is_newer          ? exit_status::kConfig
                : found.problem->error == EACCES ? exit_status::kNoPermission
                                                 : exit_status::kDataError,
                found.problem->sentence);
  for (const std::string& line : found.damage) std::fprintf(stderr, "%s\n", line.c_str());
  std::printf("store %s in %s: %s (%s), %s that %s not finished\n", to_hex(found.store).substr(0, 8).c_str(),
              directory.c_str(), counted(found.batches, {"batch", "batches"}).c_str(), human_bytes(found.bytes).c_str(),
              counted(found.sessions, {"session", "sessions"}).c_str(), found.sessions == 1 ? "is" : "are");
  if (found.torn_batches > 0) std::puts("the last batch was not written whole; nobody was told of it");
  std::puts(found.is_whole() ? "every checksum agrees" : "damaged; a daemon that starts keeps what is intact");
  return found.is_whole() ? 0 : exit_status::kDataError;
}

// One thread each for the journal, delivery, the two halves of a file's step, a new segment, a look at the free space
// and one at an inbox; and one to spare, as the journal must never wait for one. libuv's own default is four.
constexpr const char* kPoolThreads = "8";

int serve(const Arguments& arguments, const Config& config) {
  setenv("UV_THREADPOOL_SIZE", kPoolThreads, 0);
  const std::unique_ptr<Log> log = make_log(to_severity(config.log.level));
  Daemon daemon(config, *log,
                {[&] { return load_config(arguments); }, [&](LogLevel level) { set_level(*log, to_severity(level)); }});
  Daemon::Outcome outcome = daemon.open();
  if (outcome.status == 0) outcome = daemon.run();
  if (outcome.status != 0) log->error(LogEvent::none, outcome.sentence);
  return outcome.status;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (const int status = parse(argc, argv, arguments); status >= 0) return status;
  const LoadResult loaded = load_config(arguments);
  for (const std::string& line : loaded.warnings) std::fprintf(stderr, "%s\n", line.c_str());
  for (const std::string& line : loaded.errors) std::fprintf(stderr, "%s\n", line.c_str());
  if (!loaded.errors.empty()) return exit_status::kConfig;
  if (arguments.print_config) std::fputs(print(loaded.config).c_str(), stdout);
  const std::string tls_problem = arguments.check_config ? load_tls(loaded.config.tls).problem : "";
  if (!tls_problem.empty()) std::fprintf(stderr, "%s\n", tls_problem.c_str());
  if (!tls_problem.empty()) return exit_status::kConfig;
  if (arguments.print_config || arguments.check_config) return 0;
  return arguments.verify ? verify(loaded.config) : serve(arguments, loaded.config);
}
