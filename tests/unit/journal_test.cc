#include "daemon/journal.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <string>

#include "daemon/recovery.h"
#include "tests/support/frames.h"
#include "tests/support/memory_disk.h"

using namespace cproto;
using namespace cproto::test;

namespace {

constexpr std::uint64_t kSegmentSize = 16 * kBlockSize;  // and so batches of 4 blocks

bool is_batch(const Job& job) { return job.front().kind == FileOp::Kind::write; }

// A journal whose records are numbers, and everything it says, in order: "started durable-1 ".
struct JournalEnd : Journal::Owner {
  explicit JournalEnd(std::uint64_t seed = 1) : disk(seed) {
    disk.make_directories("/j");
    disk.latency = [this](const Job& job) {
      jobs.push_back(job);
      return is_batch(job) ? Duration(1ms) : segment_latency;
    };
  }
  ~JournalEnd() override { kill(); }

  // Empty, or what stands in the way.
  std::string open() {
    auto chain = find_chain(disk, options);
    if (const auto* problem = std::get_if<StoreProblem>(&chain)) return problem->sentence;
    survivors.clear();
    found = {};
    for (const ChainBatch& batch : std::get<Chain>(chain).batches) {
      Bytes bytes;
      if (read_batch(disk, std::get<Chain>(chain), batch, bytes) == BatchRead::failed) return "unreadable";
      visit_records(batch.header, bytes,
                    {[&](const Record& record) { note(record); },
                     [&](const std::optional<Record>&) { survivors += "damaged "; }});
    }
    damage = std::get<Chain>(chain).damage;
    auto position = reopen(disk, options, std::move(std::get<Chain>(chain)));
    if (const auto* problem = std::get_if<StoreProblem>(&position)) return problem->sentence;
    journal = std::make_unique<Journal>(disk, options, std::move(std::get<JournalPosition>(position)), *this);
    return {};
  }
  void kill() {
    disk.kill_process();
    journal.reset();
  }
  void cut_power(Loss loss) {
    disk.cut_power(loss);
    journal.reset();
  }
  void append(std::uint64_t number, std::size_t size = 0) {
    const Bytes body(size, 'x');
    journal->append({.type = RecordType::skipped, .session = number, .first = {}, .count = 0, .body = body});
  }
  // Appended, and durable.
  void write(std::uint64_t number, std::size_t size = 0) {
    append(number, size);
    journal->flush();
    disk.drain();
  }
  std::string take_said() { return std::exchange(said, {}); }
  void note(const Record& record) {
    if (record.type != RecordType::skipped) return;
    survivors += std::to_string(record.session) + " ";
    found.push_back(record.session);
  }
  std::size_t segments() const { return disk.list_directory("/j").size(); }
  std::vector<Job> batch_jobs() const {
    std::vector<Job> batches;
    std::copy_if(jobs.begin(), jobs.end(), std::back_inserter(batches), is_batch);
    return batches;
  }

  void on_batch_started() override { said += "started "; }
  void on_durable(const BatchPlace& batch, Duration) override {
    said += "durable-" + std::to_string(batch.number) + " ";
    last = batch;
    if (when_durable) when_durable();
  }
  void on_failed(int error, std::uint32_t segment) override {
    said += "failed-" + std::to_string(segment) + (error == ENOSPC ? "-full " : " ");
  }
  bool carry_forward(std::uint64_t before_batch) override {
    said += "carry-" + std::to_string(before_batch) + " ";
    return !when_wanted || when_wanted(before_batch);
  }

  MemoryDisk disk;
  JournalOptions options{.directory = "/j", .store = store_id(), .secret = 7, .segment_size = kSegmentSize};
  Duration segment_latency = 1ms;
  std::vector<Job> jobs;  // their operations; what they point at is gone
  std::string said;
  std::string survivors;             // of the last open(): "1 2 "
  std::vector<std::uint64_t> found;  // the same
  std::vector<std::string> damage;
  BatchPlace last;
  std::function<void()> when_durable;
  std::function<bool(std::uint64_t)> when_wanted;
  std::unique_ptr<Journal> journal;
};

// One that is open, with a first batch durable.
struct OpenJournal : JournalEnd {
  explicit OpenJournal(std::uint64_t seed = 1) : JournalEnd(seed) {
    REQUIRE(open().empty());
    write(1);
    said.clear();
    jobs.clear();
  }
};

}  // namespace

// --- writing ---

TEST_CASE("journal: what is durable is there after the power was cut, in its order") {
  OpenJournal end;
  end.write(2);
  end.append(3);
  end.cut_power(Loss::everything);
  REQUIRE(end.open().empty());
  CHECK(end.survivors == "1 2 ");
}

TEST_CASE("journal: what is appended while a batch is under way goes with the next, all of it") {
  OpenJournal end;
  end.append(2);
  end.journal->flush();
  end.append(3);
  end.append(4);
  end.journal->flush();
  CHECK(end.disk.jobs_under_way() == 1);
  CHECK(end.said == "started ");
  end.disk.drain();
  CHECK(end.said == "started durable-2 started durable-3 ");
  CHECK(end.batch_jobs().size() == 2);
  CHECK(end.last.used == 2 * kRecordHeaderSize);
}

TEST_CASE("journal: a batch is one write and one sync of blocks that are there already") {
  OpenJournal end;
  const std::uint64_t size = end.disk.read_file("/j/00000001.seg").size();
  CHECK(size == kSegmentSize);
  for (std::uint64_t i = 2; i < 6; ++i) end.write(i, 3'000);
  CHECK(end.disk.read_file("/j/00000001.seg").size() == size);
  REQUIRE(end.batch_jobs().size() == 4);
  for (const Job& job : end.batch_jobs()) {
    REQUIRE(job.size() == 2);
    CHECK(job[0].offset % kBlockSize == 0);
    CHECK(job[1].kind == FileOp::Kind::sync_data);
  }
}

TEST_CASE("journal: a flush without anything appended writes nothing") {
  OpenJournal end;
  end.journal->flush();
  CHECK(end.said.empty());
  CHECK(end.disk.jobs_under_way() == 0);
}

TEST_CASE("journal: a seal is an empty batch, written once") {
  OpenJournal end;
  REQUIRE(end.journal->can_seal());
  end.journal->seal();
  CHECK(!end.journal->can_seal());
  end.disk.drain();
  CHECK(end.take_said() == "started durable-2 ");
  CHECK(end.last.used == 0);
  end.journal->seal();
  CHECK(end.said.empty());
  end.write(2);
  CHECK(end.journal->can_seal());
}

TEST_CASE("journal: there is no seal while anything is under way") {
  OpenJournal end;
  end.append(2);
  CHECK(!end.journal->can_seal());
  end.journal->flush();
  CHECK(!end.journal->can_seal());
  end.journal->seal();
  end.disk.drain();
  CHECK(end.said == "started durable-2 ");
}

TEST_CASE("journal: numbers go on behind all that were ever used") {
  OpenJournal end;
  end.append(2);
  end.journal->flush();
  end.append(3);
  const std::uint64_t number = end.journal->gathering_number();
  end.cut_power(Loss::nothing);
  REQUIRE(end.open().empty());
  CHECK(end.journal->gathering_number() >= number);
}

// --- room ---

TEST_CASE("journal: room is what a batch still takes, and comes back with the next") {
  OpenJournal end;
  const std::size_t room = end.journal->room();
  CHECK(room == kSegmentSize / 4 - kBatchHeaderSize);
  end.append(2, 1'000);
  CHECK(end.journal->room() == room - 1'000 - kRecordHeaderSize);
  CHECK(end.journal->has_space(room - 1'000 - kRecordHeaderSize));
  CHECK(!end.journal->has_space(room));
  end.append(3, room);
  CHECK(end.journal->room() == 0);
  end.journal->flush();
  CHECK(end.journal->room() == room);
}

TEST_CASE("journal: what is larger than any segment gets one of its own") {
  OpenJournal end;
  end.append(2, 3 * kSegmentSize);
  end.journal->flush();
  end.disk.drain();
  CHECK(end.take_said() == "started durable-2 ");
  end.write(3);
  end.cut_power(Loss::everything);
  REQUIRE(end.open().empty());
  CHECK(end.survivors == "1 2 3 ");
}

// --- segments ---

TEST_CASE("journal: a full segment is followed by another, made before it is needed") {
  OpenJournal end;
  end.disk.drain();
  end.segment_latency = 50ms;
  std::uint64_t number = 2;
  while (end.journal->segments_in_use() < 2) end.write(number++, 3'000);
  CHECK(end.said.find("failed") == std::string::npos);
  end.cut_power(Loss::everything);
  REQUIRE(end.open().empty());
  REQUIRE(end.found.size() == number - 1);
  CHECK(std::is_sorted(end.found.begin(), end.found.end()));
}

TEST_CASE("journal: a batch waits for its segment to be made, and the next ones gather") {
  JournalEnd end;
  end.segment_latency = 50ms;
  REQUIRE(end.open().empty());
  std::uint64_t number = 1;
  while (end.journal->segments_in_use() < 2 && number < 40) {
    end.append(number++, 3'000);
    end.journal->flush();
    end.disk.advance_to(end.disk.now() + 2ms);
  }
  end.disk.drain();
  CHECK(end.journal->is_idle());
  end.cut_power(Loss::everything);
  REQUIRE(end.open().empty());
  CHECK(end.found.size() == number - 1);
}

TEST_CASE("journal: segments that were released are used again, and their number stays") {
  OpenJournal end;
  std::size_t most = 0;
  for (std::uint64_t number = 2; number < 200; ++number) {
    end.write(number, 3'000);
    end.journal->release_before(end.journal->last_durable() + 1);
    end.disk.drain();
    most = std::max(most, end.segments());
  }
  CHECK(most <= 4);
  end.cut_power(Loss::everything);
  REQUIRE(end.open().empty());
  CHECK(end.damage.empty());
  CHECK(end.found.back() == 199);
  CHECK(std::is_sorted(end.found.begin(), end.found.end()));
}

TEST_CASE("journal: what was carried forward outlives any number of recyclings") {
  OpenJournal end;
  std::uint64_t carried_in = 1;
  end.when_wanted = [&](std::uint64_t before) {
    if (carried_in >= before) return true;
    end.append(1);
    carried_in = end.journal->gathering_number();
    return true;
  };
  for (std::uint64_t number = 2; number < 200; ++number) {
    end.write(number, 3'000);
    end.journal->release_before(end.journal->last_durable() + 1);
    end.disk.drain();
  }
  CHECK(carried_in > 50);
  end.cut_power(Loss::everything);
  REQUIRE(end.open().empty());
  CHECK(std::count(end.found.begin(), end.found.end(), 1) > 0);
}

TEST_CASE("journal: a segment is kept until all that is live in it was carried forward") {
  OpenJournal end;
  int asked = 0;
  end.when_wanted = [&](std::uint64_t) { return ++asked > 30; };
  for (std::uint64_t number = 2; number < 1'000 && asked < 30; ++number) {
    end.write(number, 3'000);
    end.journal->release_before(end.journal->last_durable() + 1);
    end.disk.drain();
    if (asked <= 30) CHECK(end.journal->batches().front().number == 1);
  }
  CHECK(end.journal->batches().front().number > 1);
}

TEST_CASE("journal: segments are used again however fast more comes") {
  OpenJournal end;
  std::uint64_t number = 2;
  std::uint64_t carried_in = 0;
  end.when_wanted = [&](std::uint64_t before) {
    if (carried_in >= before) return true;
    if (!end.journal->has_space(100)) return false;
    end.append(1, 100);
    carried_in = end.journal->gathering_number();
    return true;
  };
  // Readers take what room there is, as soon as there is any.
  const auto fill = [&] {
    while (end.journal->room() > 0) end.append(number++, 1'000);
  };
  int batches = 0;
  end.when_durable = [&] {
    if (++batches >= 500) return;
    fill();
    end.journal->release_before(end.journal->last_durable() + 1);
    end.journal->flush();
    fill();
  };
  fill();
  end.journal->flush();
  end.disk.drain();
  CHECK(batches >= 500);
  CHECK(end.journal->segments_in_use() <= 6);
}

TEST_CASE("journal: while delivery lags no segment is used again, and at last there is no room") {
  OpenJournal end;
  std::uint64_t number = 2;
  while (end.journal->room() > 0 && number < 1'000) end.write(number++, 3'000);
  CHECK(end.journal->segments_in_use() == 9);
  CHECK(end.said.find("carry") == std::string::npos);
  end.journal->release_before(end.journal->last_durable() + 1);
  end.disk.drain();
  CHECK(end.journal->room() > 0);
  end.cut_power(Loss::everything);
  REQUIRE(end.open().empty());
  CHECK(end.found.back() == number - 1);
}

// --- failures ---

TEST_CASE("journal: what a failed disk did not take goes to a new segment, once and in its order") {
  FileOp::Kind kind = FileOp::Kind::write;
  SUBCASE("the write") {}
  SUBCASE("the sync") { kind = FileOp::Kind::sync_data; }
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    OpenJournal end(seed);
    end.disk.fault = [&](const FileOp& op, const std::string& path) {
      return op.kind == kind && path == "/j/00000001.seg" ? EIO : 0;
    };
    end.append(2);
    end.journal->flush();
    end.append(3);
    end.disk.drain();
    CHECK(end.take_said() == "started failed-1 ");
    CHECK(end.journal->has_failed());
    CHECK(end.journal->room() == 0);
    CHECK(!end.journal->can_seal());
    end.append(4);
    end.journal->flush();
    end.disk.drain();
    CHECK(end.said.empty());
    end.jobs.clear();
    end.journal->retry();
    end.disk.drain();
    CHECK(end.take_said() == "started durable-4 ");
    CHECK(end.last.segment > 1);
    CHECK(end.journal->room() > 0);
    end.write(5);
    end.cut_power(Loss::drawn);
    end.disk.fault = nullptr;
    REQUIRE(end.open().empty());
    CHECK(end.survivors == "1 2 3 4 5 ");
    CHECK(end.damage.empty());
  }
}

TEST_CASE("journal: a disk that fails and fails loses nothing of what was appended") {
  OpenJournal end;
  bool is_bad = true;
  end.disk.fault = [&](const FileOp& op, const std::string&) {
    return is_bad && op.kind == FileOp::Kind::sync_data ? EIO : 0;
  };
  end.append(2);
  end.journal->flush();
  end.append(3);
  for (int i = 0; i < 5; ++i) {
    end.disk.drain();
    CHECK(end.journal->has_failed());
    end.journal->retry();
  }
  end.disk.drain();
  CHECK(end.said.find("durable") == std::string::npos);
  is_bad = false;
  end.journal->retry();
  end.disk.drain();
  CHECK(!end.journal->has_failed());
  CHECK(end.segments() <= 4);
  end.cut_power(Loss::drawn);
  REQUIRE(end.open().empty());
  CHECK(end.survivors == "1 2 3 ");
}

TEST_CASE("journal: a full disk is trouble only for a batch that needs the segment") {
  JournalEnd end;
  bool is_full = true;
  end.disk.fault = [&](const FileOp& op, const std::string&) {
    return is_full && op.kind == FileOp::Kind::zero_fill ? ENOSPC : 0;
  };
  is_full = false;
  REQUIRE(end.open().empty());
  is_full = true;
  end.disk.drain();
  CHECK(end.said.empty());
  std::uint64_t number = 1;
  while (!end.journal->has_failed() && number < 100) end.write(number++, 3'000);
  CHECK(end.said.find("-full") != std::string::npos);
  is_full = false;
  end.journal->retry();
  end.disk.drain();
  CHECK(!end.journal->has_failed());
  CHECK(end.journal->is_idle());
  end.cut_power(Loss::everything);
  REQUIRE(end.open().empty());
  CHECK(end.found.size() == number - 1);
  CHECK(std::is_sorted(end.found.begin(), end.found.end()));
}

TEST_CASE("journal: a segment that failed is not written again, and goes when it is not needed") {
  OpenJournal end;
  bool is_bad = true;
  end.disk.fault = [&](const FileOp& op, const std::string& path) {
    return is_bad && op.kind == FileOp::Kind::sync_data && path == "/j/00000001.seg" ? EIO : 0;
  };
  end.append(2);
  end.journal->flush();
  end.disk.drain();
  is_bad = false;
  end.journal->retry();
  end.disk.drain();
  const Bytes before = end.disk.read_file("/j/00000001.seg");
  for (std::uint64_t number = 3; number < 60 && end.disk.exists("/j/00000001.seg"); ++number) {
    CHECK(end.disk.read_file("/j/00000001.seg") == before);
    end.write(number, 3'000);
    end.journal->release_before(end.journal->last_durable() + 1);
    end.disk.drain();
  }
  CHECK(!end.disk.exists("/j/00000001.seg"));
}

// --- crashes ---

TEST_CASE("journal: whatever was durable outlives a crash at any operation, and nothing is there twice") {
  for (const bool cuts_power : {false, true}) {
    for (std::uint64_t seed = 1; seed <= 2; ++seed) {
      bool is_through = false;
      for (std::uint64_t operations = 0; !is_through; operations += 1 + operations / 20) {
        CAPTURE(cuts_power);
        CAPTURE(seed);
        CAPTURE(operations);
        JournalEnd end(seed);
        std::uint64_t durable = 0;
        std::uint64_t number = 1;
        end.disk.crash_after(operations);
        try {
          const std::string trouble = end.open();
          REQUIRE(trouble.empty());
          for (; number <= 24; ++number) {
            end.write(number, 3'000);
            durable = number;
            if (number % 3 == 0) end.journal->release_before(end.journal->last_durable() + 1);
          }
          is_through = true;
        } catch (const ProcessDied&) {
        }
        cuts_power ? end.cut_power(Loss::drawn) : end.kill();
        end.disk.never_crash();
        REQUIRE(end.open().empty());
        CHECK(end.damage.empty());
        CHECK(std::is_sorted(end.found.begin(), end.found.end()));
        CHECK(std::adjacent_find(end.found.begin(), end.found.end()) == end.found.end());
        const std::uint64_t last = end.found.empty() ? 0 : end.found.back();
        CHECK((last == durable || last == durable + 1));
        end.write(100);
        end.cut_power(Loss::everything);
        REQUIRE(end.open().empty());
        CHECK(end.found.back() == 100);
      }
    }
  }
}
