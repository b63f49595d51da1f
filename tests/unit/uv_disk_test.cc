// The disk as it is: on files of this machine.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>

#include "daemon/uv_disk.h"

using namespace cproto;

namespace {

struct Scratch {
  std::string directory = (std::filesystem::temp_directory_path() / "cproto-disk-XXXXXX").string();
  File file;
  Scratch() {
    REQUIRE(mkdtemp(directory.data()) != nullptr);
    Job create{file_op::create(file, directory + "/file", 0600)};
    REQUIRE(run_file_operations(create).ok());
  }
  ~Scratch() {
    Job close{file_op::close(file)};
    run_file_operations(close);
    std::filesystem::remove_all(directory);
  }
  Bytes read(std::uint64_t offset, std::size_t size) {
    Bytes bytes(size);
    Job job{file_op::read(file, offset, bytes)};
    CHECK(run_file_operations(job).ok());
    return bytes;
  }
};

}  // namespace

TEST_CASE("disk: what is written past the cache is read back, wherever it lies in memory") {
  Scratch scratch;
  const Bytes bytes(128 * 1024, 'x');
  const std::size_t page = 4096 - reinterpret_cast<std::uintptr_t>(bytes.data()) % 4096;
  for (const std::size_t begin : {page, page + 1}) {
    Job job{file_op::zero_fill(scratch.file, bytes.size()),
            file_op::write_past_cache(scratch.file, 4096, ByteView(bytes).subspan(begin, 65536)),
            file_op::sync_data(scratch.file)};
    CHECK(run_file_operations(job).ok());
    CHECK(scratch.read(4096, 65536) == Bytes(65536, 'x'));
    CHECK(scratch.read(0, 4096) == Bytes(4096));
  }
}

TEST_CASE("disk: what does not lie at a page goes through the cache from then on") {
  Scratch scratch;
  const Bytes bytes(128 * 1024, 'x');
  const std::size_t page = 4096 - reinterpret_cast<std::uintptr_t>(bytes.data()) % 4096;
  Job job{file_op::write_past_cache(scratch.file, 0, ByteView(bytes).subspan(page + 1, 100))};
  CHECK(run_file_operations(job).ok());
  CHECK(scratch.read(0, 100) == Bytes(100, 'x'));
  CHECK((::fcntl(scratch.file.handle, F_GETFL) & O_DIRECT) == 0);
}

TEST_CASE("disk: past the cache or through it, a part of a page is written as it is") {
  Scratch scratch;
  Job job{file_op::write_past_cache(scratch.file, 10, as_bytes("abc")),
          file_op::write(scratch.file, 13, as_bytes("de"))};
  CHECK(run_file_operations(job).ok());
  CHECK(scratch.read(10, 5) == Bytes{'a', 'b', 'c', 'd', 'e'});
}

TEST_CASE("disk: what is appended leaves no hole in a file that somebody cuts meanwhile") {
  Scratch scratch;
  const int file = scratch.file.handle;
  std::atomic<bool> is_over{false};
  std::thread somebody([&] {
    while (!is_over) {
      (void)::ftruncate(file, 0);
      std::this_thread::sleep_for(std::chrono::microseconds(1));  // which is some more
    }
  });
  unsigned holes = 0;
  for (int i = 0; i < 20'000; ++i) {
    Job job{file_op::append(scratch.file, as_bytes("x"))};
    CHECK(run_file_operations(job).ok());
    char first = 'x';
    (void)::pread(file, &first, 1, 0);
    if (first != 'x') ++holes;
  }
  is_over = true;
  somebody.join();
  CHECK(holes == 0);
}

TEST_CASE("disk: a file that is smaller than expected is told, with its size") {
  Scratch scratch;
  FileStatus status;
  for (const auto& [expected, error] : {std::pair{2u, 0}, {3u, 0}, {4u, ERANGE}}) {
    Job job{file_op::write(scratch.file, 0, as_bytes("abc")), file_op::expect_size(scratch.file, expected, status)};
    CHECK(run_file_operations(job).error == error);
    CHECK(status.size == 3);
  }
}
