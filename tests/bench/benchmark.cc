#include "tests/bench/benchmark.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include "proto/frame.h"
#include "proto/random.h"
#include "tests/bench/append_sync.h"
#include "tests/bench/clock.h"
#include "tests/bench/file_work.h"
#include "tests/bench/ping_pong.h"
#include "tests/bench/place.h"

namespace cproto::bench {

namespace {

constexpr std::uint64_t kThroughputCount = 1'000'000;
constexpr std::uint64_t kLatencyCount = 20'000;
constexpr std::uint64_t kFairnessCount = 2'000;
// The file that comes in beside messages is so many times the size of the other.
constexpr std::uint64_t kFairnessFiles = 5;
constexpr Duration kUnderWay = 500ms;
// A longer append begins again at the front of its file.
constexpr std::uint64_t kAppendFileMax = 256u << 20;
constexpr std::uint64_t kLatencyFile = 64u << 20;
// How long a server that cannot be watched is left alone.
constexpr Duration kPause = 2s;
constexpr double kMega = 1e6;

// Printable, and nothing that could be compressed away.
Bytes make_payload(std::size_t size) {
  Random random(1);
  Bytes payload(size);
  for (std::uint8_t& byte : payload) byte = static_cast<std::uint8_t>(random.between('0', 'z'));
  return payload;
}

Trouble disk_trouble(const std::string& directory) { return directory + ": " + std::strerror(errno); }

}  // namespace

Benchmark::Benchmark(const Options& options, const Target& target)
    : options_(options), target_(target), payload_(make_payload(options.size)) {}

LoadOptions Benchmark::load_options(OperationMode mode, std::uint64_t count) const {
  return {.server = target_.server,
          .server_pid = target_.daemon != nullptr ? target_.daemon->pid() : 0,
          .mode = mode,
          .count = count,
          .payload = payload_,
          .window = options_.window,
          .packet = options_.packet,
          .connections = options_.connections};
}

// What so many messages are on the wire, and in the journal but for what it adds a batch.
std::uint64_t Benchmark::frame_bytes(std::uint64_t messages) const {
  const std::uint64_t packet = terms_.max_packet_size > 0 ? terms_.max_packet_size : options_.packet;
  const std::uint64_t frames = std::max<std::uint64_t>(1, (options_.size + packet - 1) / packet);
  return messages * (options_.size + frames * kHeaderSize);
}

void Benchmark::wait_until_quiet() const {
  if (target_.daemon != nullptr) return target_.daemon->wait_until_quiet();
  std::this_thread::sleep_for(kPause);
}

double Benchmark::server_cpu() const { return target_.daemon != nullptr ? cpu_seconds(target_.daemon->pid()) : 0; }

LoadResult Benchmark::run(const LoadOptions& load, double* lasting_cpu) {
  wait_until_quiet();
  const double before = server_cpu();
  LoadResult result = run_load(load);
  terms_ = result.terms;
  if (lasting_cpu != nullptr) {
    wait_until_quiet();
    *lasting_cpu = server_cpu() - before;
  }
  return result;
}

std::variant<Section, Trouble> Benchmark::measure_throughput() {
  const std::uint64_t count = options_.count > 0 ? options_.count : kThroughputCount;
  const auto messages = static_cast<double>(count);
  const LoadOptions load = load_options(options_.mode, count);
  // The first run makes segments, sessions and buffers; it is not counted.
  if (const LoadResult warm_up = run(load); !warm_up.trouble.empty()) return warm_up.trouble;
  const std::uint64_t bytes = frame_bytes(count);
  const auto file = AppendFile::make(target_.directory, std::min(bytes + kBatchBytesMax, kAppendFileMax));
  if (file == nullptr) return disk_trouble(target_.directory);

  Section section{"throughput",
                  std::string("throughput, ") + (options_.mode == OperationMode::burst ? "burst" : "step-by-step") +
                      ", " + std::to_string(count) + " messages a run",
                  {}};
  for (std::size_t i = 0; i < options_.runs; ++i) {
    double lasting_cpu = 0;
    const LoadResult result = run(load, &lasting_cpu);
    if (!result.trouble.empty()) return result.trouble;
    const auto batch =
        static_cast<double>(bytes) / static_cast<double>(std::max<std::uint64_t>(1, result.acknowledgements));
    const auto large = file->append(bytes, kBatchBytesMax);
    const auto mean = file->append(bytes, static_cast<std::uint64_t>(batch));
    if (!large || !mean) return disk_trouble(target_.directory);

    const double rate = messages / seconds(result.lasted);
    const double large_rate = messages / seconds(*large);
    const double mean_rate = messages / seconds(*mean);
    const auto size = static_cast<double>(options_.size);
    section.add("messages_per_second", "cproto, messages/s", 0, rate);
    section.add("megabytes_per_second", "cproto, MB/s of payload", 1, rate * size / kMega);
    section.add("batch_bytes", "mean batch, bytes", 0, batch);
    section.add("client_cpu_seconds", "client CPU, s", 3, result.client_cpu);
    if (target_.daemon != nullptr) {
      section.add("daemon_cpu_seconds", "daemon CPU until all is durable, s", 3, result.server_cpu);
      section.add("daemon_cpu_seconds_delivered", "daemon CPU until all is delivered, s", 3, lasting_cpu);
    }
    section.add("append_large_messages_per_second", "append + fdatasync of 4 MiB, messages/s", 0, large_rate);
    section.add("append_large_megabytes_per_second", "append + fdatasync of 4 MiB, MB/s", 1, large_rate * size / kMega);
    section.add("append_mean_messages_per_second", "append + fdatasync of the mean batch, messages/s", 0, mean_rate);
    section.add("append_mean_megabytes_per_second", "append + fdatasync of the mean batch, MB/s", 1,
                mean_rate * size / kMega);
    section.add("ratio_to_append_large", "cproto : append of 4 MiB", 2, rate / large_rate);
    section.add("ratio_to_append_mean", "cproto : append of the mean batch", 2, rate / mean_rate);
  }
  return section;
}

std::variant<Section, Trouble> Benchmark::measure_latency() {
  const std::uint64_t count = options_.count > 0 ? options_.count : kLatencyCount;
  LoadOptions load = load_options(OperationMode::step_by_step, std::max<std::uint64_t>(1, count / 10));
  if (const LoadResult warm_up = run(load); !warm_up.trouble.empty()) return warm_up.trouble;
  load.count = count;
  const auto frame_size = static_cast<std::size_t>(frame_bytes(1));
  const auto file = AppendFile::make(target_.directory, kLatencyFile);
  if (file == nullptr) return disk_trouble(target_.directory);

  Section section{
      "latency", "latency, step-by-step, " + std::to_string(count) + " round trips a run, microseconds", {}};
  for (std::size_t i = 0; i < options_.runs; ++i) {
    LoadResult result = run(load);
    if (!result.trouble.empty()) return result.trouble;
    PingPong game = ping_pong(frame_size, count);
    if (!game.trouble.empty()) return game.trouble;
    auto synced = file->sync_blocks(count);
    if (!synced) return disk_trouble(target_.directory);

    const Percentiles ours = percentiles_of(result.round_trips);
    const Percentiles network = percentiles_of(game.round_trips);
    const Percentiles disk = percentiles_of(*synced);
    section.add("cproto_p50_us", "cproto, p50", 1, ours.p50);
    section.add("cproto_p90_us", "cproto, p90", 1, ours.p90);
    section.add("cproto_p99_us", "cproto, p99", 1, ours.p99);
    section.add("cproto_max_us", "cproto, max", 1, ours.max);
    section.add("pingpong_p50_us", "bare ping-pong, p50", 1, network.p50);
    section.add("pingpong_p99_us", "bare ping-pong, p99", 1, network.p99);
    section.add("sync_p50_us", "bare 4 KiB + fdatasync, p50", 1, disk.p50);
    section.add("sync_p99_us", "bare 4 KiB + fdatasync, p99", 1, disk.p99);
    section.add("over_limits_p50_us", "cproto above both together, p50", 1, ours.p50 - network.p50 - disk.p50);
    section.add("ratio_p50", "cproto : both together, p50", 2, ours.p50 / (network.p50 + disk.p50));
    section.add("ratio_p99", "cproto : both together, p99", 2, ours.p99 / (network.p99 + disk.p99));
    section.add("client_cpu_us", "client CPU a message", 1, result.client_cpu * kMega / static_cast<double>(count));
    if (target_.daemon != nullptr)
      section.add("daemon_cpu_us", "daemon CPU a message", 1, result.server_cpu * kMega / static_cast<double>(count));
  }
  return section;
}

std::variant<Section, Trouble> Benchmark::measure_file() {
  const std::string source = target_.directory + "/source";
  const std::string copy = target_.directory + "/copy";
  const std::string log = target_.directory + "/programs.log";
  const double megabytes = static_cast<double>(options_.file_size) / kMega;
  if (!make_file(source, options_.file_size)) return disk_trouble(source);
  const auto rsync = RsyncDaemon::start(target_.directory);

  Section section{"file", "one file of " + std::to_string(options_.file_size) + " bytes, MB/s", {}};
  const auto measure = [&](const std::string& key, const std::string& label,
                           const std::vector<std::string>& command) -> std::optional<double> {
    wait_until_quiet();
    const std::optional<Duration> lasted = time_of(command, log);
    if (!lasted) return std::nullopt;
    const double rate = megabytes / seconds(*lasted);
    section.add(key + "_megabytes_per_second", label, 1, rate);
    return rate;
  };
  for (std::size_t i = 0; i <= options_.runs; ++i) {
    // The first makes what the later ones replace; it is not counted.
    if (i == 1) section.figures.clear();
    const double cpu = server_cpu();
    const auto ours = measure("cproto", "cproto-send", sending(target_.address, source, target_.directory + "/state"));
    if (!ours) return Trouble("cproto-send failed; " + log + " says why");
    if (target_.daemon != nullptr) section.add("daemon_cpu_seconds", "daemon CPU, s", 2, server_cpu() - cpu);
    const auto copied =
        measure("dd", "dd conv=fdatasync", {"dd", "if=" + source, "of=" + copy, "bs=1M", "conv=fdatasync"});
    if (!copied) return Trouble("dd failed; " + log + " says why");
    section.add("ratio_to_dd", "cproto : dd", 2, *ours / *copied);
    if (rsync == nullptr) continue;
    const auto synced = measure("rsync", "rsync --inplace -W --fsync to its daemon",
                                {"rsync", "--inplace", "-W", "--fsync", "-I", source, rsync->address()});
    if (!synced) return Trouble("rsync failed; " + log + " says why");
    section.add("ratio_to_rsync", "cproto : rsync", 2, *ours / *synced);
  }
  return section;
}

std::variant<Section, Trouble> Benchmark::measure_fairness() {
  // The sender would be another machine: here, at least, it takes nothing of this one's disk, nor memory for its holes.
  const auto in_memory = TemporaryDirectory::make("/dev/shm");
  const std::string source = (in_memory ? in_memory->path() : target_.directory) + "/sparse";
  const std::uint64_t size = options_.file_size * kFairnessFiles;
  if (!make_sparse_file(source, size)) return disk_trouble(source);
  const LoadOptions load =
      load_options(OperationMode::step_by_step, options_.count > 0 ? options_.count : kFairnessCount);
  if (const LoadResult warm_up = run(load); !warm_up.trouble.empty()) return warm_up.trouble;

  Section section{"fairness",
                  "fairness, " + std::to_string(load.count) + " round trips beside a file of " + std::to_string(size) +
                      " bytes, microseconds",
                  {}};
  for (std::size_t i = 0; i < options_.runs; ++i) {
    LoadResult alone = run(load);
    if (!alone.trouble.empty()) return alone.trouble;
    const auto sender = Child::start(sending(target_.address, source, target_.directory + "/state"),
                                     target_.directory + "/programs.log");
    std::this_thread::sleep_for(kUnderWay);
    LoadResult beside = run_load(load);
    if (!beside.trouble.empty()) return beside.trouble;
    if (sender == nullptr || sender->has_ended())
      return Trouble("the file was over before the messages; say --file-size");

    const Percentiles idle = percentiles_of(alone.round_trips);
    const Percentiles busy = percentiles_of(beside.round_trips);
    section.add("alone_p50_us", "alone, p50", 1, idle.p50);
    section.add("alone_p99_us", "alone, p99", 1, idle.p99);
    section.add("beside_file_p50_us", "beside the file, p50", 1, busy.p50);
    section.add("beside_file_p99_us", "beside the file, p99", 1, busy.p99);
    section.add("beside_file_max_us", "beside the file, max", 1, busy.max);
    section.add("ratio_p50", "beside : alone, p50", 2, busy.p50 / idle.p50);
    section.add("ratio_p99", "beside : alone, p99", 2, busy.p99 / idle.p99);
  }
  return section;
}

}  // namespace cproto::bench
