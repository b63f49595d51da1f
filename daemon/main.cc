// cprotod: arguments, configuration, and the daemon between them.
#include <CLI/CLI.hpp>

#include <cstdio>
#include <string>

#include "config/loader.h"
#include "config/print.h"
#include "config/schema.h"
#include "daemon/daemon.h"
#include "daemon/exit_status.h"
#include "daemon/logging.h"

namespace {

using namespace cproto;

struct Arguments {
  std::string config;
  Overrides overrides;
  bool check_config = false;
  bool print_config = false;
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
  app.set_version_flag("--version", "cprotod " CPROTO_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_status::kUsage;
  }
  return -1;
}

// Everything or nothing: a file with a mistake changes nothing.
void reload(const Arguments& arguments, Config& config, Log& log) {
  LoadResult loaded = load_config(arguments);
  for (const std::string& line : loaded.errors) log.error(line);
  if (!loaded.errors.empty()) return log.error("not reloaded; the configuration in force stays");
  for (const std::string& line : loaded.warnings) log.warn(line);
  for (const std::string& key : keys_needing_restart(config, loaded.config))
    log.warn(key + " takes effect at a restart");
  set_level(log, to_severity(loaded.config.log.level));
  config.log = loaded.config.log;
  log.info("configuration reloaded");
}

int serve(const Arguments& arguments, Config config) {
  const std::unique_ptr<Log> log = make_log(to_severity(config.log.level));
  Daemon daemon(config, *log);
  Daemon::Outcome outcome = daemon.open();
  if (outcome.status == 0) {
    daemon.set_on_reload([&] { reload(arguments, config, *log); });
    outcome = daemon.run();
  }
  if (outcome.status != 0) log->error(outcome.sentence);
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
  if (arguments.print_config || arguments.check_config) return 0;
  return serve(arguments, loaded.config);
}
