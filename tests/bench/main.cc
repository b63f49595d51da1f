// cproto-bench: what a cprotod does over TCP, beside what the machine can do.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "tests/bench/benchmark.h"
#include "tests/bench/daemon_process.h"
#include "tests/bench/options.h"
#include "tests/bench/place.h"
#include "tests/bench/report.h"
#include "tests/bench/works.h"

namespace {

using namespace cproto;
using namespace cproto::bench;

constexpr int kFailed = 1;

int fail(const std::string& why) {
  std::fprintf(stderr, "cproto-bench: %s\n", why.c_str());
  return kFailed;
}

sigset_t ending_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  return signals;
}

// Whoever stops us finds nothing left behind: neither a daemon nor its directory. Pre: ending_signals() are blocked.
void clean_up_on_signal(pid_t daemon, const std::string& directory) {
  std::thread([daemon, directory] {
    const sigset_t signals = ending_signals();
    int signal = 0;
    sigwait(&signals, &signal);
    if (daemon > 0) ::kill(daemon, SIGKILL);
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
    ::_exit(128 + signal);
  }).detach();
}

// Says why if something could not be measured.
Trouble measure(Benchmark& benchmark, const Options& options) {
  const auto is_wanted = [&](const Work& work) {
    return std::any_of(options.works.begin(), options.works.end(), [&](const std::string& name) {
      return name == "all" ? work.measure != measure_growth : find_work(name) == &work;
    });
  };
  for (const Work& work : all_works()) {
    if (!is_wanted(work)) continue;
    if (Trouble trouble = work.measure(benchmark); !trouble.empty()) return std::string(work.name) + ": " + trouble;
  }
  return {};
}

int run(const Options& options) {
  const std::unique_ptr<TemporaryDirectory> directory = TemporaryDirectory::make(options.directory);
  if (directory == nullptr) return fail(options.directory + ": " + std::strerror(errno));
  std::unique_ptr<DaemonProcess> daemon;
  if (options.server.empty()) {
    std::string trouble;
    daemon = DaemonProcess::start(directory->path(), {options.packet}, trouble);
    if (daemon == nullptr) return fail(trouble);
  }
  clean_up_on_signal(daemon ? daemon->pid() : 0, directory->path());

  Report report;
  report.options = options;
  report.server = daemon ? daemon->address() : options.server;
  report.directory = directory->path();
  report.file_system = file_system_of(directory->path());
  const auto server = resolve(report.server);
  if (!server) return fail(report.server + " is not the address of a server");
  Benchmark benchmark(options, {*server, daemon.get(), report.server, directory->path()});
  if (const Trouble trouble = measure(benchmark, options); !trouble.empty()) return fail(trouble);
  report.terms = benchmark.terms();
  report.sections = benchmark.sections();
  std::fputs((options.is_json ? to_json(report) : to_text(report)).c_str(), stdout);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (const int status = parse(argc, argv, options); status >= 0) return status;
  const sigset_t signals = ending_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  raise_descriptor_limit();
  return run(options);
}
