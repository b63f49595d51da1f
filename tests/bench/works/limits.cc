// What the machine does alone: the checksum, the disk, the loopback interface.
#include <algorithm>

#include "proto/checksum.h"
#include "proto/frame.h"
#include "tests/bench/append_sync.h"
#include "tests/bench/clock.h"
#include "tests/bench/copying.h"
#include "tests/bench/payload.h"
#include "tests/bench/ping_pong.h"
#include "tests/bench/works.h"

namespace cproto::bench {

namespace {

constexpr std::uint64_t kChecksumBytes = 2u << 30;
constexpr std::size_t kChecksumSizes[] = {100 + kHeaderSize, 4096 + kHeaderSize, 64 * 1024};
constexpr std::uint64_t kSyncs = 2'000;
constexpr std::uint64_t kAppendBytes = 512u << 20;
constexpr std::uint64_t kAppendFile = 256u << 20;
constexpr std::uint64_t kRoundTrips = 20'000;
constexpr double kGiga = 1e9;

// GB/s of CRC-32 over pieces of one size.
double checksum_rate(std::size_t size, std::uint64_t total) {
  const Bytes bytes = make_payload(size);
  const std::uint64_t count = std::max<std::uint64_t>(1, total / size);
  volatile std::uint32_t keep = 0;
  const Instant begin = now();
  for (std::uint64_t i = 0; i < count; ++i) keep = crc32(0, bytes);
  static_cast<void>(keep);
  return static_cast<double>(count * size) / kGiga / seconds(now() - begin);
}

Trouble measure_disk(Benchmark& benchmark, AppendFile& file, Section& section) {
  const std::uint64_t bytes = benchmark.scaled(kAppendBytes);
  for (const std::uint64_t batch : {std::uint64_t{64} << 10, std::uint64_t{1} << 20, kBatchBytesMax}) {
    const auto lasted = file.append(bytes, batch);
    if (!lasted) return trouble_with(benchmark.target().directory);
    const std::string kibibytes = std::to_string(batch >> 10);
    section.add("append_" + kibibytes + "k_megabytes_per_second",
                "append + fdatasync of " + kibibytes + " KiB, preallocated, MB/s", 1,
                static_cast<double>(bytes) / kMega / seconds(*lasted));
  }
  auto blocks = file.sync_blocks(benchmark.scaled(kSyncs));
  if (!blocks) return trouble_with(benchmark.target().directory);
  const Percentiles times = percentiles_of(*blocks);
  section.add("sync_p50_us", "4 KiB + fdatasync, preallocated, p50, us", 1, times.p50);
  section.add("sync_p99_us", "4 KiB + fdatasync, preallocated, p99, us", 1, times.p99);
  return {};
}

}  // namespace

Trouble measure_limits(Benchmark& benchmark) {
  const std::string& directory = benchmark.target().directory;
  const std::uint64_t size = benchmark.scaled(benchmark.options().file_size);
  const std::string source = directory + "/source";
  if (!make_file(source, size)) return trouble_with(source);
  const auto file = AppendFile::make(directory, kAppendFile);
  if (file == nullptr) return trouble_with(directory);
  Section& section = benchmark.add_section("limits", "limits of the machine");
  for (std::size_t i = 0; i < benchmark.options().runs; ++i) {
    for (const std::size_t piece : kChecksumSizes)
      section.add("crc32_" + std::to_string(piece) + "_gigabytes_per_second",
                  "CRC-32 of " + std::to_string(piece) + " bytes, GB/s", 2,
                  checksum_rate(piece, benchmark.scaled(kChecksumBytes)));
    if (Trouble trouble = measure_disk(benchmark, *file, section); !trouble.empty()) return trouble;
    PingPong game = ping_pong(benchmark.options().size + kHeaderSize, benchmark.scaled(kRoundTrips));
    if (!game.trouble.empty()) return game.trouble;
    const Percentiles times = percentiles_of(game.round_trips);
    section.add("pingpong_p50_us", "ping-pong over loopback, p50, us", 1, times.p50);
    section.add("pingpong_p99_us", "ping-pong over loopback, p99, us", 1, times.p99);
    const auto copied = time_of({"dd", "if=" + source, "of=" + directory + "/copy", "bs=1M", "conv=fdatasync"},
                                directory + "/programs.log");
    if (!copied) return "dd failed";
    section.add("dd_megabytes_per_second", "dd conv=fdatasync, MB/s", 1,
                static_cast<double>(size) / kMega / seconds(*copied));
  }
  return {};
}

}  // namespace cproto::bench
