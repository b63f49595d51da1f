// W4: one file, by cproto-send to the daemon. Beside it, in each run: a bare sender and receiver that do the same
// checks (and that do without the digest), `dd conv=fdatasync`, and rsync to a daemon of its own, where there is one:
// as it writes over a file that is there, and as it makes a new one and renames it, which is what cproto does.
#include "tests/bench/bare_copy.h"
#include "tests/bench/clock.h"
#include "tests/bench/copying.h"
#include "tests/bench/place.h"
#include "tests/bench/works.h"

namespace cproto::bench {

namespace {

class FileWork {
 public:
  FileWork(Benchmark& benchmark, std::uint64_t size)
      : benchmark_(benchmark),
        directory_(benchmark.target().directory),
        log_(directory_ + "/programs.log"),
        megabytes_(static_cast<double>(size) / kMega),
        section_(benchmark.add_section("file", "one file of " + std::to_string(size) + " bytes, MB/s")) {}

  Trouble run(std::uint64_t size) {
    if (!make_file(source(), size)) return trouble_with(source());
    const auto place = TemporaryDirectory::make(directory_);
    if (place == nullptr) return trouble_with(directory_);
    Trouble trouble;
    const auto plain = DaemonProcess::start(place->path(), {.program = "cprotod-without-digest"}, trouble);
    if (plain == nullptr) return trouble;
    const auto rsync = RsyncDaemon::start(directory_);
    for (std::size_t i = 0; i <= benchmark_.options().runs; ++i) {
      // The first makes what the later ones replace; it is not counted.
      if (i == 1) section_.figures.clear();
      if (trouble = once(*plain, rsync.get()); !trouble.empty()) return trouble;
    }
    return {};
  }

 private:
  Trouble once(const DaemonProcess& plain, const RsyncDaemon* rsync) {
    const double cpu = benchmark_.server_cpu();
    const double ours =
        time("cproto", "cproto-send", sending(benchmark_.target().address, source(), directory_ + "/state"));
    if (benchmark_.target().daemon != nullptr)
      section_.add("daemon_cpu_seconds", "daemon CPU, s", 2, benchmark_.server_cpu() - cpu);
    const double unchecked =
        time("without_digest", "cproto-send without the digest",
             sending(plain.address(), source(), directory_ + "/other-state", "cproto-send-without-digest"));
    const double bare = copy("bare_copy", "bare copy with CRC-32 and SHA-256", true);
    copy("bare_copy_no_digest", "bare copy with CRC-32", false);
    const double copied =
        time("dd", "dd conv=fdatasync", {"dd", "if=" + source(), "of=" + target(), "bs=1M", "conv=fdatasync"});
    section_.add("ratio_to_bare", "cproto : bare copy with both", 2, ours / bare);
    section_.add("ratio_to_dd", "cproto : dd", 2, ours / copied);
    if (rsync != nullptr) {
      const double synced = time("rsync", "rsync --inplace -W --fsync to its daemon",
                                 {"rsync", "--inplace", "-W", "--fsync", "-I", source(), rsync->address()});
      // What is there is not overwritten, but replaced when the new file is whole: as cproto does it.
      const double replaced = time("rsync_new", "rsync -W --fsync to its daemon, a new file that is renamed",
                                   {"rsync", "-W", "--fsync", "-I", source(), rsync->address()});
      section_.add("ratio_to_rsync", "cproto : rsync", 2, ours / synced);
      section_.add("without_digest_ratio_to_rsync", "cproto without the digest : rsync", 2, unchecked / synced);
      section_.add("without_digest_ratio_to_rsync_new", "cproto without the digest : rsync, a new file", 2,
                   unchecked / replaced);
    }
    return trouble_;
  }

  // Of a command; 1 if it failed.
  double time(const std::string& key, const std::string& label, const std::vector<std::string>& command) {
    benchmark_.wait_until_quiet();
    return add(key, label, time_of(command, log_), command[0] + " failed; " + log_ + " says why");
  }

  double copy(const std::string& key, const std::string& label, bool with_digest) {
    benchmark_.wait_until_quiet();
    return add(key, label, bare_copy(source(), target(), with_digest), "the bare copy failed");
  }

  double add(const std::string& key, const std::string& label, std::optional<Duration> lasted, const Trouble& trouble) {
    if (!lasted && trouble_.empty()) trouble_ = trouble;
    const double rate = lasted ? megabytes_ / seconds(*lasted) : 1;
    section_.add(key + "_megabytes_per_second", label, 1, rate);
    return rate;
  }

  std::string source() const { return directory_ + "/source"; }
  std::string target() const { return directory_ + "/copy"; }

  Benchmark& benchmark_;
  std::string directory_;
  std::string log_;
  double megabytes_;
  Section& section_;
  Trouble trouble_;
};

}  // namespace

Trouble measure_file(Benchmark& benchmark) {
  const std::uint64_t size = benchmark.scaled(benchmark.options().file_size);
  return FileWork(benchmark, size).run(size);
}

}  // namespace cproto::bench
