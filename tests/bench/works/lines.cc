// `client`: cproto-send --lines, the whole command, beside this program's load, which does nothing but send, with the
// same lines; from the connection to the end of the close.
#include "tests/bench/clock.h"
#include "tests/bench/copying.h"
#include "tests/bench/works.h"

namespace cproto::bench {

namespace {

constexpr std::uint64_t kCount = 1'000'000;

}  // namespace

Trouble measure_lines(Benchmark& benchmark) {
  const std::string& directory = benchmark.target().directory;
  const std::string path = directory + "/lines";
  const std::string log = directory + "/programs.log";
  const LoadOptions load = benchmark.load_options(OperationMode::burst, benchmark.count(kCount));
  if (!write_lines(path, load.payload, load.count)) return trouble_with(path);
  Section& section = benchmark.add_section("client", "cproto-send --lines, " + std::to_string(load.count) + " lines");
  for (std::size_t i = 0; i <= benchmark.options().runs; ++i) {
    if (i == 1) section.figures.clear();  // the first is not counted
    benchmark.wait_until_quiet();
    const auto command = time_of(sending_lines(benchmark.target().address, path, directory + "/state"), log);
    if (!command) return "cproto-send failed; " + log + " says why";
    benchmark.wait_until_quiet();
    const Instant begin = now();
    const LoadResult result = benchmark.run_at_once(load);
    const Duration whole = now() - begin;
    if (!result.trouble.empty()) return result.trouble;
    const auto messages = static_cast<double>(load.count);
    section.add("messages_per_second", "cproto-send, messages/s", 0, messages / seconds(*command));
    section.add("bench_messages_per_second", "cproto-bench, with handshake and close, messages/s", 0,
                messages / seconds(whole));
    section.add("bench_alone_messages_per_second", "cproto-bench, without them, messages/s", 0,
                messages / seconds(result.lasted));
    section.add("ratio_to_bench", "cproto-send : cproto-bench with both", 2, seconds(whole) / seconds(*command));
  }
  return {};
}

}  // namespace cproto::bench
