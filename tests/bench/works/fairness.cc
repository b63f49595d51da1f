// What a message waits for while a file comes in on another connection, and while nothing does.
#include <thread>

#include "tests/bench/clock.h"
#include "tests/bench/copying.h"
#include "tests/bench/place.h"
#include "tests/bench/works.h"

namespace cproto::bench {

namespace {

constexpr std::uint64_t kCount = 2'000;
// The file that comes in beside messages is so many times the size of the other, however few the messages are: it is
// given up when they are over.
constexpr std::uint64_t kFiles = 5;
constexpr Duration kUnderWay = 500ms;

}  // namespace

Trouble measure_fairness(Benchmark& benchmark) {
  // The sender would be another machine: here, at least, it takes nothing of this one's disk, nor memory for its holes.
  const auto in_memory = TemporaryDirectory::make("/dev/shm");
  const Target& target = benchmark.target();
  const std::string source = (in_memory ? in_memory->path() : target.directory) + "/sparse";
  const std::uint64_t size = benchmark.options().file_size * kFiles;
  if (!make_sparse_file(source, size)) return trouble_with(source);
  const LoadOptions load = benchmark.load_options(OperationMode::step_by_step, benchmark.count(kCount));
  if (const LoadResult warm_up = benchmark.run(load); !warm_up.trouble.empty()) return warm_up.trouble;

  Section& section =
      benchmark.add_section("fairness", "fairness, " + std::to_string(load.count) + " round trips beside a file of " +
                                            std::to_string(size) + " bytes, microseconds");
  for (std::size_t i = 0; i < benchmark.options().runs; ++i) {
    LoadResult alone = benchmark.run(load);
    if (!alone.trouble.empty()) return alone.trouble;
    const auto sender =
        Child::start(sending(target.address, source, target.directory + "/state"), target.directory + "/programs.log");
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
  return {};
}

}  // namespace cproto::bench
