// W7: how long a daemon takes from its start until it listens, with a journal that one left that was killed: read from
// the disk, as after a power cut, and from memory, as after kill -9. Beside it: reading the same bytes and their
// CRC-32.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "proto/checksum.h"
#include "tests/bench/clock.h"
#include "tests/bench/place.h"
#include "tests/bench/works.h"

namespace cproto::bench {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kJournalBytes = 1u << 30;
// What batches and records add to frames of 100 bytes, and more.
constexpr std::uint64_t kSegmentMargin = 64u << 20;
constexpr std::size_t kReadSize = 1u << 20;
constexpr double kGibi = 1u << 30;

template <class Do>
void each_segment(const std::string& store, Do&& act) {
  for (const auto& file : fs::directory_iterator(store + "/journal")) {
    const int fd = ::open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    act(fd);
    ::close(fd);
  }
}

// Of clean pages the kernel keeps none.
void forget_pages(const std::string& store) {
  each_segment(store, [](int fd) {
    ::fdatasync(fd);
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  });
}

// GiB/s of the whole segments, whatever is in them.
double read_rate(const std::string& store) {
  Bytes buffer(kReadSize);
  std::uint64_t total = 0;
  std::uint32_t crc = 0;
  const Instant begin = now();
  each_segment(store, [&](int fd) {
    for (ssize_t size = 0; (size = ::read(fd, buffer.data(), buffer.size())) > 0;) {
      crc = crc32(crc, ByteView(buffer).first(static_cast<std::size_t>(size)));
      total += static_cast<std::uint64_t>(size);
    }
  });
  const volatile std::uint32_t keep = crc;
  static_cast<void>(keep);
  return static_cast<double>(total) / kGibi / seconds(now() - begin);
}

class Recovery {
 public:
  Recovery(Benchmark& benchmark, std::string directory, std::uint64_t bytes)
      : benchmark_(benchmark), directory_(std::move(directory)), needs_{.segment_size = bytes + kSegmentMargin} {}

  // Fills the journal, and leaves it as a killed daemon does.
  Trouble fill(std::uint64_t bytes) {
    if (Trouble trouble = start(needs_); !trouble.empty()) return trouble;
    daemon_->wait_until_quiet();
    LoadOptions load = benchmark_.load_options(OperationMode::burst, 1);
    const auto server = resolve(daemon_->address());
    if (!server) return daemon_->address();
    load.server = *server;
    load.count = std::max<std::uint64_t>(1, bytes / benchmark_.frame_bytes(load));
    bytes_ = benchmark_.frame_bytes(load);
    const LoadResult result = run_load(load);
    daemon_->kill();
    return result.trouble;
  }

  Trouble measure_once(Section& section) {
    forget_pages(store());
    add(section, "cold_read_", "reading and CRC-32 alone, from the disk", read_rate(store()));
    add(section, "read_", "reading and CRC-32 alone, from memory", read_rate(store()));
    forget_pages(store());
    if (Trouble trouble = recover(section, "cold_", "cproto, from the disk"); !trouble.empty()) return trouble;
    return recover(section, "", "cproto, from memory");
  }

 private:
  static void add(Section& section, const std::string& key, const std::string& label, double rate) {
    section.add(key + "gibibytes_per_second", label + ", GiB/s", 2, rate);
  }

  Trouble recover(Section& section, const std::string& key, const std::string& label) {
    const Instant begin = now();
    // What it makes anew is of the usual size: zeros for the next GiB are not what is measured.
    if (Trouble trouble = start({}); !trouble.empty()) return trouble;
    const double lasted = seconds(now() - begin);
    daemon_->kill();
    section.add(key + "seconds", label + ", s", 3, lasted);
    add(section, key, label, static_cast<double>(bytes_) / kGibi / lasted);
    return {};
  }

  Trouble start(const DaemonProcess::Needs& needs) {
    Trouble trouble;
    daemon_ = nullptr;
    daemon_ = DaemonProcess::start(directory_, needs, trouble);
    return trouble;
  }

  std::string store() const { return directory_ + "/store"; }

  Benchmark& benchmark_;
  std::string directory_;
  DaemonProcess::Needs needs_;
  std::uint64_t bytes_ = 0;  // of frames in the journal
  std::unique_ptr<DaemonProcess> daemon_;
};

}  // namespace

Trouble measure_recovery(Benchmark& benchmark) {
  const std::uint64_t bytes = benchmark.scaled(kJournalBytes);
  const auto directory = TemporaryDirectory::make(benchmark.target().directory);
  if (directory == nullptr) return trouble_with(benchmark.target().directory);
  Recovery recovery(benchmark, directory->path(), bytes);
  if (Trouble trouble = recovery.fill(bytes); !trouble.empty()) return trouble;
  Section& section = benchmark.add_section("recovery", "a journal with " + std::to_string(bytes) + " bytes of frames");
  for (std::size_t i = 0; i < benchmark.options().runs; ++i)
    if (Trouble trouble = recovery.measure_once(section); !trouble.empty()) return trouble;
  return {};
}

}  // namespace cproto::bench
