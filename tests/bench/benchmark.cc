#include "tests/bench/benchmark.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include "proto/frame.h"
#include "tests/bench/clock.h"
#include "tests/bench/payload.h"

namespace cproto::bench {

namespace {

// How long a server that cannot be watched is left alone.
constexpr Duration kPause = 2s;
// The daemon lets a session have so many bytes on their way; the bare server's client keeps to it, too.
constexpr std::uint64_t kWindowBytes = 4u << 20;

}  // namespace

Trouble trouble_with(const std::string& what) { return what + ": " + std::strerror(errno); }

Benchmark::Benchmark(const Options& options, const Target& target)
    : options_(options), target_(target), payload_(make_payload(options.size)) {}

Section& Benchmark::add_section(const std::string& work, const std::string& heading) {
  return sections_.emplace_back(Section{work, heading, {}});
}

std::uint64_t Benchmark::count(std::uint64_t suits) const {
  return options_.count > 0 ? options_.count : scaled(suits);
}

std::uint64_t Benchmark::scaled(std::uint64_t suits) const {
  return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(static_cast<double>(suits) * options_.scale));
}

LoadOptions Benchmark::load_options(OperationMode mode, std::uint64_t count) const {
  LoadOptions load;
  load.server = target_.server;
  load.server_pid = target_.daemon != nullptr ? target_.daemon->pid() : 0;
  load.mode = mode;
  load.count = count;
  load.payload = payload_;
  load.window = options_.window;
  load.packet = options_.packet;
  load.connections = options_.connections;
  return load;
}

std::uint64_t Benchmark::frame_bytes(const LoadOptions& load) const {
  const std::uint64_t packet = terms_.max_packet_size > 0 ? terms_.max_packet_size : load.packet;
  const std::uint64_t frames = std::max<std::uint64_t>(1, (load.payload.size() + packet - 1) / packet);
  return load.count * (load.payload.size() + frames * kHeaderSize);
}

void Benchmark::wait_until_quiet() const {
  if (target_.daemon != nullptr) return target_.daemon->wait_until_quiet();
  std::this_thread::sleep_for(kPause);
}

double Benchmark::server_cpu() const { return target_.daemon != nullptr ? cpu_seconds(target_.daemon->pid()) : 0; }

LoadResult Benchmark::run(const LoadOptions& load, double* lasting_cpu) {
  wait_until_quiet();
  const double before = server_cpu();
  LoadResult result = run_at_once(load);
  if (lasting_cpu != nullptr) {
    wait_until_quiet();
    *lasting_cpu = server_cpu() - before;
  }
  return result;
}

LoadResult Benchmark::run_at_once(const LoadOptions& load) {
  LoadResult result = run_load(load);
  terms_ = result.terms;
  return result;
}

PlainLoadResult Benchmark::run_bare(const LoadOptions& load, BareServer::Reads reads) {
  std::unique_ptr<BareServer>& bare = bare_[reads];
  if (bare == nullptr) bare = BareServer::start(target_.directory, reads);
  if (bare == nullptr) {
    PlainLoadResult result;
    result.trouble = trouble_with("the bare server cannot be started");
    return result;
  }
  PlainLoadOptions plain;
  plain.protocol = make_bare;
  plain.server = bare->address();
  plain.server_pid = bare->pid();
  plain.count = load.count;
  plain.payload = load.payload;
  const std::uint64_t fits = std::max<std::uint64_t>(1, kWindowBytes / (load.payload.size() + kHeaderSize));
  plain.window = load.mode == OperationMode::step_by_step ? 1 : std::min<std::uint64_t>(load.window, fits);
  plain.connections = load.connections;
  return run_plain_load(plain);
}

}  // namespace cproto::bench
