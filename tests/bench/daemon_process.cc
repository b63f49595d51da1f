#include "tests/bench/daemon_process.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "tests/bench/clock.h"

namespace cproto::bench {

namespace {

constexpr Duration kPoll = 10ms;
constexpr Duration kStartTimeout = 30s;
constexpr Duration kQuiet = 1200ms;
constexpr Duration kQuietTimeout = 60s;

void write_config(const std::string& path, const std::string& directory, const DaemonProcess::Needs& needs) {
  std::ofstream config(path);
  config << "[listen]\nhost = \"127.0.0.1\"\nport = 0\n"
         << "[store]\ndirectory = \"" << directory << "/store\"\n";
  if (needs.segment_size > 0) config << "segment_size = " << needs.segment_size << "\n";
  if (!needs.stream.empty()) config << "engine = \"jetstream\"\n[jetstream]\nurl = \"" << needs.stream << "\"\n";
  config << "[limits]\nconnections = 0\nconnections_per_address = 0\nhandshakes_pending = 0\n"
         << "message_size = \"2GiB\"\nclients = 0\n";
  if (!needs.keys.empty()) config << "[tls]\nkeys = \"" << needs.keys << "\"\nallow_plain = true\n";
  if (needs.max_packet_size > 64 * 1024) config << "[session]\nmax_packet_size = " << needs.max_packet_size << "\n";
}

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// "… listening on 127.0.0.1:40123; other hosts …"
std::string listening_address(const std::string& log) {
  static constexpr std::string_view kWords = "listening on ";
  const std::size_t at = log.find(kWords);
  if (at == std::string::npos) return {};
  const std::size_t begin = at + kWords.size();
  const std::size_t end = log.find_first_of(";, \n", begin);
  return end == std::string::npos ? std::string() : log.substr(begin, end - begin);
}

}  // namespace

std::unique_ptr<DaemonProcess> DaemonProcess::start(const std::string& directory, const Needs& needs,
                                                    std::string& trouble) {
  const std::string program = own_folder() + "/" + needs.program;
  const std::string config = directory + "/cproto.toml";
  const std::string log = directory + "/cprotod.log";
  if (::access(program.c_str(), X_OK) != 0) {
    trouble = "there is no " + program + " to start; build it, or give --server";
    return nullptr;
  }
  write_config(config, directory, needs);
  std::filesystem::remove(log);  // of one that was here before
  std::unique_ptr<Child> child = Child::start({program, "--config", config}, log);
  if (child == nullptr) {
    trouble = "fork failed";
    return nullptr;
  }
  std::unique_ptr<DaemonProcess> daemon(new DaemonProcess(std::move(child)));
  daemon->store_ = directory + "/store";
  for (const Instant begin = now(); now() - begin < kStartTimeout && !daemon->child_->has_ended();) {
    const std::string said = read_file(log);
    daemon->address_ = listening_address(said);
    const bool has_store = needs.stream.empty() || said.find(" is open: ") != std::string::npos;
    if (!daemon->address_.empty() && has_store) return daemon;
    std::this_thread::sleep_for(kPoll);
  }
  trouble = program + " does not listen. It said:\n" + read_file(log);
  return nullptr;
}

DaemonProcess::Syncs DaemonProcess::syncs() const {
  const std::string said = store_ + ".metrics";
  std::filesystem::remove(said);
  const auto asking = Child::start({own_folder() + "/cprotoctl", "--directory", store_, "metrics"}, said);
  if (asking == nullptr || asking->wait() != 0) return {};
  std::istringstream words(read_file(said));
  Syncs syncs;
  for (std::string word; words >> word;) {
    if (word == "cproto_fdatasync_seconds_count") words >> syncs.count;
    if (word == "cproto_fdatasync_seconds_sum") words >> syncs.seconds;
  }
  return syncs;
}

// Whether a thread of it runs, or waits for the disk.
bool DaemonProcess::is_working() const {
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid()) + "/task", error)) {
    const std::string stat = read_file(task.path().string() + "/stat");
    const std::size_t name_end = stat.rfind(") ");
    if (name_end == std::string::npos || name_end + 2 >= stat.size()) continue;
    const char state = stat[name_end + 2];
    if (state == 'R' || state == 'D') return true;
  }
  return false;
}

void DaemonProcess::wait_until_quiet() const {
  const Instant begin = now();
  Instant quiet_since = begin;
  double cpu = cpu_seconds(pid());
  while (now() - quiet_since < kQuiet && now() - begin < kQuietTimeout) {
    std::this_thread::sleep_for(kPoll);
    const double cpu_now = cpu_seconds(pid());
    if (cpu_now > cpu || is_working()) quiet_since = now();
    cpu = cpu_now;
  }
}

}  // namespace cproto::bench
