// `tls`: what encryption costs. Lines and one file by cproto-send, to one daemon, in plain text and with a key, in
// turns.
#include <filesystem>
#include <fstream>

#include "tests/bench/clock.h"
#include "tests/bench/copying.h"
#include "tests/bench/place.h"
#include "tests/bench/works.h"

namespace cproto::bench {

namespace {

constexpr std::uint64_t kLines = 1'000'000;

using Command = std::vector<std::string>;

// The key file of the daemon, and of each client its own beside it.
std::string write_keys(const std::string& directory) {
  const std::string path = directory + "/keys";
  std::ofstream all(path);
  char digit = '1';
  for (const char* client : {"bench-lines", "bench-file"}) {
    const std::string line = std::string(client) + " " + std::string(64, digit++) + "\n";
    all << line;
    std::ofstream(directory + "/" + client + ".key") << line;
  }
  return path;
}

class TlsWork {
 public:
  TlsWork(Benchmark& benchmark, const DaemonProcess& daemon, const std::string& directory, Section& section)
      : benchmark_(benchmark), daemon_(daemon), directory_(directory), section_(section) {}

  // `amount`: of what a command sends, in the unit of `label`.
  void measure(const std::string& what, const std::string& label, int digits, double amount, const Command& command,
               const std::string& client) {
    Command encrypted = command;
    encrypted.insert(encrypted.begin() + 1, {"--key", directory_ + "/" + client + ".key"});
    const double plain = rate(amount, command);
    const double tls = rate(amount, encrypted);
    section_.add(what + "_plain", label + ", plain", digits, plain);
    section_.add(what + "_tls", label + ", TLS", digits, tls);
    section_.add(what + "_ratio", what + ", TLS : plain", 2, tls / plain);
  }

  const Trouble& trouble() const { return trouble_; }

 private:
  double rate(double amount, const Command& command) {
    benchmark_.wait_until_quiet();
    daemon_.wait_until_quiet();
    const auto lasted = time_of(command, directory_ + "/programs.log");
    if (lasted) return amount / seconds(*lasted);
    trouble_ = command[0] + " failed; " + directory_ + "/programs.log says why";
    return 1;
  }

  Benchmark& benchmark_;
  const DaemonProcess& daemon_;
  const std::string& directory_;
  Section& section_;
  Trouble trouble_;
};

}  // namespace

Trouble measure_tls(Benchmark& benchmark) {
  const std::string& directory = benchmark.target().directory;
  const auto place = TemporaryDirectory::make(directory);
  if (place == nullptr) return trouble_with(directory);
  const LoadOptions load = benchmark.load_options(OperationMode::burst, benchmark.count(kLines));
  const std::uint64_t size = benchmark.scaled(benchmark.options().file_size);
  const std::string lines = place->path() + "/lines";
  const std::string file = place->path() + "/file";
  if (!write_lines(lines, load.payload, load.count)) return trouble_with(lines);
  if (!make_file(file, size)) return trouble_with(file);
  Trouble trouble;
  const auto daemon = DaemonProcess::start(place->path(), {.keys = write_keys(place->path())}, trouble);
  if (daemon == nullptr) return trouble;

  Section& section = benchmark.add_section(
      "tls", std::to_string(load.count) + " lines and a file of " + std::to_string(size) + " bytes, by cproto-send");
  TlsWork work(benchmark, *daemon, place->path(), section);
  const std::string state = place->path() + "/state";
  for (std::size_t i = 0; i <= benchmark.options().runs && work.trouble().empty(); ++i) {
    if (i == 1) section.figures.clear();  // the first is not counted
    work.measure("lines", "lines, messages/s", 0, static_cast<double>(load.count),
                 sending_lines(daemon->address(), lines, state), "bench-lines");
    work.measure("file", "a file, MB/s", 0, static_cast<double>(size) / kMega, sending(daemon->address(), file, state),
                 "bench-file");
  }
  return work.trouble();
}

}  // namespace cproto::bench
