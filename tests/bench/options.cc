#include "tests/bench/options.h"

#include <CLI/CLI.hpp>

#include <cstdlib>
#include <map>

#include "tests/bench/works.h"

namespace cproto::bench {

namespace {

constexpr int kUsage = 64;  // EX_USAGE, as with the other programs
constexpr std::uint64_t kCountMax = 1'000'000'000;
constexpr std::size_t kSizeMax = 64u << 20;
constexpr std::size_t kConnectionsMax = 10'000;

}  // namespace

int parse(int argc, char** argv, Options& options) {
  CLI::App app{"Measures a cprotod over TCP, beside what the machine can do: a bare ping-pong and a bare fdatasync.",
               "cproto-bench"};
  const char* tmpdir = std::getenv("TMPDIR");
  options.directory = tmpdir != nullptr && *tmpdir != '\0' ? tmpdir : ".";
  const std::map<std::string, OperationMode> modes{{"burst", OperationMode::burst},
                                                   {"step-by-step", OperationMode::step_by_step}};
  std::string about;
  for (const Work& work : all_works()) {
    about += "\n  " + std::string(work.name) + (work.short_name.empty() ? "" : ", " + std::string(work.short_name));
    about += ": " + std::string(work.about);
  }
  const auto is_work = [](const std::string& name) {
    return name == "all" || find_work(name) != nullptr ? std::string() : name + " is no work; --help lists them";
  };
  app.footer("Works:" + about + "\n  all: each of them but growth");
  app.add_option("--work", options.works, "One or some of those below, with commas between them (default: all)")
      ->delimiter(',')
      ->check(is_work)
      ->option_text("WORK[,...]");
  app.add_option("--count", options.count, "Messages of a run (default: what suits the work)")
      ->check(CLI::Range(std::uint64_t{1}, kCountMax))
      ->option_text("N");
  app.add_option("--scale", options.scale,
                 "Do this part of what suits a work: of messages, bytes, seconds (default: 1)")
      ->check(CLI::Range(1e-6, 1e3))
      ->option_text("F");
  app.add_option("--size", options.size, "Bytes of a message (default: 100)")
      ->check(CLI::Range(std::size_t{0}, kSizeMax))
      ->option_text("BYTES");
  app.add_option("--file-size", options.file_size,
                 "Bytes of the file; of that beside messages, five times (default: 2 GiB)")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40))
      ->option_text("BYTES");
  app.add_option("--window", options.window, "Frames in flight to offer (default: 32767)")
      ->check(CLI::Range(1u, kWindowMax))
      ->option_text("N");
  app.add_option("--packet", options.packet, "Largest packet to offer; longer messages are cut (default: 65536)")
      ->check(CLI::Range(kPacketSizeMin, kPacketSizeMax))
      ->option_text("BYTES");
  app.add_option("--connections", options.connections, "Connections, each with a session of its own (default: 1)")
      ->check(CLI::Range(std::size_t{1}, kConnectionsMax))
      ->option_text("N");
  app.add_option("--mode", options.mode, "Mode of the throughput work: burst or step-by-step (default: burst)")
      ->transform(CLI::Transformer(modes))
      ->option_text("MODE");
  app.add_option("--runs", options.runs, "Runs that count; medians are of them (default: 5)")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1000}))
      ->option_text("N");
  app.add_option("--server", options.server,
                 "Measure this one (default: a cprotod of its own, from beside this program)")
      ->option_text("HOST:PORT");
  app.add_option("--directory", options.directory,
                 "Where to make the temporary directory: it says whose disk is measured (default: $TMPDIR, or here)")
      ->check(CLI::ExistingDirectory)
      ->option_text("DIR");
  app.add_flag("--json", options.is_json, "Print for programs");
  app.set_version_flag("--version", "cproto-bench " CPROTO_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  return -1;
}

}  // namespace cproto::bench
