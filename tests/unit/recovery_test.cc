// The very bytes of a journal, as a crash, a recycling, an earlier life or a bad medium leaves them, and what is made
// of them.
#include "daemon/recovery.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "daemon/store_format.h"
#include "proto/checksum.h"
#include "proto/random.h"
#include "tests/support/frames.h"
#include "tests/support/journal_bytes.h"
#include "tests/support/store_end.h"

using namespace cproto;
using namespace cproto::test;

namespace {

constexpr std::size_t kSector = 512;

// A store that opens on a journal built by hand.
struct Found : StoreEnd {
  explicit Found(JournalBytes& journal, std::uint64_t seed = 1) : StoreEnd(seed) {
    options.segment_size = 32 * kBlockSize;
    journal.save(disk);
  }
  // Opens and delivers. The text of the inbox, lines behind one another, dots but one left out: "a|b|c.|".
  std::string take() {
    REQUIRE(open().empty());
    return deliver();
  }
  std::string deliver() {
    run(50ms);
    std::string text = log_text();
    std::replace(text.begin(), text.end(), '\n', '|');
    text.erase(std::unique(text.begin(), text.end(), [](char a, char b) { return a == '.' && b == '.'; }), text.end());
    return text;
  }
  std::size_t errors() const {
    return static_cast<std::size_t>(std::count(log.severities.begin(), log.severities.end(), Severity::error));
  }
  bool knows(std::uint64_t session, std::uint64_t through) {
    SessionEntry* entry = nullptr;
    for (const auto& [index, one] : store->registry().all())
      if (index == session) entry = one.get();
    return entry != nullptr && entry->durable.through == Seq{through};
  }
};

// A session and its message "a", acknowledged; then the batch that was being written: "b", and some kilobytes more.
struct TornTail {
  TornTail() { journal.session(1).message(1, 1, "a").write(); }
  BatchHeader write_tail(std::size_t size = 9'000) {
    return tail = journal.message(1, 2, "b").large_message(1, 3, "c", size).message(1, 4, "d").write();
  }
  // Of the tail these sectors got to the disk; the others hold `old`. Whether that makes no difference.
  bool persist(const std::vector<bool>& sectors, const Bytes& old) {
    const auto bytes = journal.batch(tail);
    const Bytes whole(bytes.begin(), bytes.end());
    for (std::size_t i = 0; i < sectors.size(); ++i)
      if (!sectors[i])
        std::copy_n(old.begin() + static_cast<std::ptrdiff_t>(i * kSector), kSector, &bytes[i * kSector]);
    return std::equal(whole.begin(), whole.end(), bytes.begin());
  }
  JournalBytes journal;
  BatchHeader tail;
};

constexpr const char* kWholeTail = "a|b|c.|d|";

// Three batches that are synced ("a", "b" "c" "d", "e") and the seal that says so.
struct Sealed {
  Sealed() {
    first = journal.session(1).message(1, 1, "a").write();
    second = journal.message(1, 2, "b").message(1, 3, "c").message(1, 4, "d").write();
    third = journal.message(1, 5, "e").write();
    seal = journal.write();
  }
  JournalBytes journal;
  BatchHeader first, second, third, seal;
};

}  // namespace

// --- where the journal ends ---

TEST_CASE("recovery: batches that are linked are taken, in their order") {
  Sealed sealed;
  Found found(sealed.journal);
  CHECK(found.take() == "a|b|c|d|e|");
  CHECK(found.knows(1, 5));
  CHECK(found.errors() == 0);
}

TEST_CASE("recovery: a bit that comes back flipped from one read loses nothing") {
  bool has_more = true;
  for (int read = 0; has_more; ++read) {
    CAPTURE(read);
    TornTail last;  // nothing behind it proves that it was synced
    last.write_tail();
    Found found(last.journal);
    Random random(static_cast<std::uint64_t>(read));
    int reads = 0;
    found.disk.misread = [&](std::uint64_t bits) -> std::optional<std::uint64_t> {
      if (reads++ != read) return std::nullopt;
      return random.chance(50) ? random.below(bits) : random.below(std::min<std::uint64_t>(bits, 8 * 4 * kBlockSize));
    };
    if (!found.open().empty()) continue;  // of the file that says which store this is: said, and nothing was touched
    CHECK(found.deliver() == kWholeTail);
    CHECK(found.knows(1, 4));
    has_more = reads > read;
  }
}

TEST_CASE("recovery: a journal without segments is a store that is new") {
  JournalBytes journal;
  Found found(journal);
  CHECK(found.open().empty());
  CHECK(found.store->registry().size() == 0);
}

TEST_CASE("recovery: a tail torn behind any sector is taken whole or not at all") {
  const std::size_t sectors = TornTail().write_tail().size / kSector;
  for (std::size_t kept = 0; kept <= sectors; ++kept) {
    CAPTURE(kept);
    TornTail torn;
    torn.write_tail();
    std::vector<bool> persisted(sectors);
    std::fill_n(persisted.begin(), kept, true);
    torn.persist(persisted, Bytes(torn.tail.size));
    Found found(torn.journal);
    CHECK(found.take() == (kept == sectors ? kWholeTail : "a|"));
    CHECK(found.knows(1, kept == sectors ? 4 : 1));
    CHECK(found.errors() == 0);
  }
}

TEST_CASE("recovery: a tail with any of its sectors missing is not taken") {
  Random random(7);
  for (int round = 0; round < 100; ++round) {
    CAPTURE(round);
    TornTail torn;
    torn.write_tail();
    std::vector<bool> persisted(torn.tail.size / kSector);
    for (std::size_t i = 0; i < persisted.size(); ++i) persisted[i] = random.chance(round < 50 ? 50 : 95);
    const bool is_whole = torn.persist(persisted, Bytes(torn.tail.size));
    Found found(torn.journal);
    CHECK(found.take() == (is_whole ? kWholeTail : "a|"));
    CHECK(found.errors() == 0);
  }
}

TEST_CASE("recovery: a tail torn over an old batch of the same shape is taken whole or not at all") {
  // The old batch had the same place, size and frames in an earlier use of the segment: sectors of both check.
  TornTail old;
  old.journal.number = 5;
  old.write_tail();
  const auto before = old.journal.batch(old.tail);
  Random random(11);
  for (int round = 0; round < 60; ++round) {
    CAPTURE(round);
    TornTail torn;
    torn.journal.number = 20;
    torn.journal.tail = torn.journal.previous;
    torn.write_tail();
    std::vector<bool> persisted(torn.tail.size / kSector);
    for (std::size_t i = 0; i < persisted.size(); ++i) persisted[i] = random.chance(round < 30 ? 50 : 95);
    const bool is_whole = torn.persist(persisted, Bytes(before.begin(), before.end()));
    Found found(torn.journal);
    CHECK(found.take() == (is_whole ? kWholeTail : "a|"));
  }
}

TEST_CASE("recovery: a tail torn where frames meet, over those of a session before it, is taken whole or not at all") {
  // Frames as long as a sector: intact ones of both sessions, and of the same numbers, lie side by side in the run.
  const auto write_run = [](JournalBytes& journal, char text) {
    constexpr std::uint32_t kFrames = 15;
    Bytes run;
    for (std::uint32_t i = 0; i < kFrames; ++i) {
      const std::size_t front = i == 0 ? kBatchHeaderSize + kRecordHeaderSize : 0;
      append(run, data(2 + i, std::string(kSector - front - kHeaderSize, text)));
    }
    return journal.record({.type = RecordType::frames, .session = 1, .first = {2}, .count = kFrames, .body = run})
        .write();
  };
  TornTail old;
  old.journal.number = 5;
  const auto before = old.journal.batch(write_run(old.journal, 'x'));
  Random random(13);
  for (int round = 0; round < 60; ++round) {
    CAPTURE(round);
    TornTail torn;
    torn.journal.number = 20;
    torn.journal.tail = torn.journal.previous;
    torn.tail = write_run(torn.journal, 'y');
    std::vector<bool> persisted(torn.tail.size / kSector);
    for (std::size_t i = 0; i < persisted.size(); ++i) persisted[i] = random.chance(round < 30 ? 50 : 95);
    const bool is_whole = torn.persist(persisted, Bytes(before.begin(), before.end()));
    Found found(torn.journal);
    found.take();
    CHECK(found.knows(1, is_whole ? 16 : 1));
    CHECK(found.log_text().find('x') == std::string::npos);
  }
}

TEST_CASE("recovery: a number of a torn batch is not used again") {
  TornTail torn;
  torn.journal.number = 40;
  torn.write_tail();
  std::vector<bool> persisted(torn.tail.size / kSector, true);
  bool leaves_front = false;
  SUBCASE("of which the front is left") { leaves_front = true; }
  SUBCASE("of which the end is left") {}
  persisted[leaves_front ? persisted.size() - 1 : 0] = false;
  torn.persist(persisted, Bytes(torn.tail.size));
  Found found(torn.journal);
  CHECK(found.take() == "a|");
  CHECK(found.store->journal().gathering_number() > 41);
}

TEST_CASE("recovery: what follows a torn tail is believed in the next life and the tail is not") {
  TornTail torn;
  torn.write_tail();
  std::vector<bool> persisted(torn.tail.size / kSector, true);
  persisted[persisted.size() - 1] = false;
  torn.persist(persisted, Bytes(torn.tail.size));
  Found found(torn.journal);
  REQUIRE(found.take() == "a|");
  SessionEnd session(found);
  session.syn.attempt = 1;
  session.syn.resume = Syn::Resume{JournalBytes::id_of_session(1), JournalBytes::kStore, {1}, 1, 1};
  REQUIRE(session.connect().empty());
  session.send("B");
  found.sync();
  session.lose_server();
  found.cut_power(Loss::everything);
  CHECK(found.take() == "a|B|");
  CHECK(found.knows(1, 2));
}

// --- stale batches ---

TEST_CASE("recovery: a whole batch of an earlier use behind a torn tail is not believed") {
  JournalBytes journal;
  // The earlier use: batches 1 to 3, of which the third stays where it is.
  journal.session(9, "old").message(9, 1, "old").write();
  journal.session(9, "old").message(9, 2, "old").write();
  journal.session(9, "old").message(9, 3, "old").write();
  journal.begin_segment(2);
  journal.tail = 4;
  journal.session(1).write();
  // The segment is begun again; the batch before the stale one is torn.
  journal.begin_segment(1);
  journal.number = 10;
  journal.session(1).message(1, 1, "a").write();
  const BatchHeader tail = journal.message(1, 2, "b").write();
  bool is_torn = false;
  SUBCASE("torn") {
    is_torn = true;
    journal.batch(tail)[tail.size - 1] ^= 1;
    journal.batch(tail)[kBatchHeaderSize] ^= 1;
  }
  SUBCASE("whole") {}
  Found found(journal);
  CHECK(found.take() == (is_torn ? "a|" : "a|b|"));
  CHECK(found.log_text("web-1", "old.log").empty());
  CHECK(found.store->registry().size() == 1);
  CHECK(found.errors() == 0);
}

TEST_CASE("recovery: a recycled segment full of old batches that check gives none of them") {
  JournalBytes journal;
  for (int i = 1; i <= 31; ++i) journal.session(9, "old").message(9, static_cast<std::uint64_t>(i), "old").write();
  journal.begin_segment(2);
  journal.tail = journal.number;
  journal.session(1).message(1, 1, "a").write();
  SUBCASE("and is begun again") {
    journal.begin_segment(1);
    journal.message(1, 2, "b").write();
  }
  SUBCASE("and is free") { journal.message(1, 2, "b").write(); }
  SUBCASE("and holds a newer batch in the middle of them") {
    journal.begin_segment(1);
    journal.offset = 7 * kBlockSize;
    journal.message(1, 2, "b").write();
  }
  Found found(journal);
  CHECK(found.take() == "a|b|");
  CHECK(found.log_text("web-1", "old.log").empty());
  CHECK(found.store->registry().size() == 1);
  CHECK(found.errors() == 0);
}

TEST_CASE("recovery: a batch of another store is not believed, however new it is") {
  JournalBytes journal;
  journal.session(1).message(1, 1, "a").write();
  journal.store = id_of(0x11);
  journal.number = 1'000;
  journal.session(9, "foreign").message(9, 1, "foreign").write();
  journal.store = JournalBytes::kStore;
  Found found(journal);
  CHECK(found.take() == "a|");
  CHECK(found.store->registry().size() == 1);
}

TEST_CASE("recovery: a batch that is not where it says is not believed") {
  JournalBytes journal;
  journal.session(1).message(1, 1, "a").write();
  const BatchHeader moved = journal.message(1, 2, "b").write_unsynced();
  const Bytes copy(journal.batch(moved).begin(), journal.batch(moved).end());
  std::fill_n(journal.batch(moved).begin(), moved.size, std::uint8_t{0});
  std::uint32_t segment = 1;
  SUBCASE("in another place") {}
  SUBCASE("in another segment") { segment = 2; }
  std::copy(copy.begin(), copy.end(), journal.bytes_of(segment).begin() + moved.offset + kBlockSize);
  if (segment == 2) std::copy(copy.begin(), copy.end(), journal.bytes_of(2).begin() + moved.offset);
  Found found(journal);
  CHECK(found.take() == "a|");
}

TEST_CASE("recovery: the image of a batch inside a message is not believed") {
  // What a client must know of the store it is told, or can guess: it sends a batch within a message, at such a length
  // that it comes to lie on a block's boundary.
  JournalBytes forged;
  forged.number = forged.tail = 500;
  forged.secret = 0;
  forged.offset = 2 * kBlockSize;
  const BatchHeader header = forged.session(9, "forged").message(9, 1, "forged").write();
  JournalBytes journal;
  JournalBytes measure;
  const std::size_t before = kBatchHeaderSize + measure.session(1).write().used + kRecordHeaderSize + kHeaderSize;
  std::string text(kBlockSize - before, 'x');
  text += as_text(forged.batch(header));
  journal.session(1).message(1, 1, text).write();
  journal.write();
  Found found(journal);
  REQUIRE(found.open().empty());
  found.run(50ms);
  CHECK(found.log_text("web-1", "forged.log").empty());
  CHECK(found.knows(1, 1));
}

TEST_CASE("recovery: a batch and the one that was written in its stead are taken once") {
  JournalBytes journal;
  journal.session(1).message(1, 1, "a").write();
  const JournalBytes before = journal;
  journal.message(1, 2, "b").write();
  // The next life: the same again, with the same link, elsewhere.
  journal.begin_segment(2);
  journal.previous = before.previous;
  journal.previous_checksum = before.previous_checksum;
  journal.message(1, 2, "b").write();
  std::string expected = "a|b|";
  SUBCASE("and that is the last") {}
  SUBCASE("and another follows") {
    journal.message(1, 3, "c").write();
    expected += "c|";
  }
  Found found(journal);
  CHECK(found.take() == expected);
  CHECK(found.errors() == 0);
}

TEST_CASE("recovery: what was written and not synced in an earlier life is not taken behind what was") {
  JournalBytes journal;
  journal.session(1).message(1, 1, "a").write();
  journal.message(1, 2, "lost").write_unsynced();  // whole, but it was not there when the next life looked
  journal.begin_segment(2);
  journal.message(1, 2, "b").write();
  Found found(journal);
  CHECK(found.take() == "a|b|");
}

// --- damage ---

TEST_CASE("recovery: any one bit of an acknowledged batch costs at the most what it is in, and is said") {
  const Sealed reference;
  const std::size_t used_end = kBatchHeaderSize + reference.second.used;
  for (std::size_t at = 0; at < reference.second.size; at += at < used_end ? 3 : 511) {
    CAPTURE(at);
    Sealed sealed;
    sealed.journal.batch(sealed.second)[at] ^= 0x10;
    Found found(sealed.journal);
    const std::string text = found.take();
    // Each of "b", "c" and "d" is a record of its own: one of them may be gone, and what is behind is not.
    CHECK((text == "a|b|c|d|e|" || text == "a|c|d|e|" || text == "a|b|d|e|" || text == "a|b|c|e|"));
    CHECK(found.knows(1, 5));
    if (text != "a|b|c|d|e|") CHECK(found.errors() > 0);
    // A record of one letter ends with four zeros that mean nothing.
    if (at >= kBatchHeaderSize && at < used_end && (at - kBatchHeaderSize) % 56 < 52)
      CHECK(found.log.contains("damage"));
  }
}

TEST_CASE("recovery: damage within a run of frames costs the frame that was hit, and its session is named") {
  JournalBytes journal;
  journal.session(1).message(1, 1, "a").write();
  const Bytes run = join({data(2, "b"), data(3, "c"), data(4, "d")});
  const std::size_t one = run.size() / 3;
  std::size_t hit = 0;
  std::string expected;
  SUBCASE("its first frame") {
    hit = one - 1;
    expected = "a|c|d|e|";
  }
  SUBCASE("a payload in the middle") {
    hit = 2 * one - 1;
    expected = "a|b|d|e|";
  }
  SUBCASE("a length in the middle") {
    hit = one;
    expected = "a|b|d|e|";
  }
  SUBCASE("the sequence of the last") {
    hit = 2 * one + 6;
    expected = "a|b|c|e|";
  }
  const BatchHeader damaged_one =
      journal.record({.type = RecordType::frames, .session = 1, .first = {2}, .count = 3, .body = run}).write();
  journal.message(1, 5, "e").write();
  journal.batch(damaged_one)[kBatchHeaderSize + kRecordHeaderSize + hit] ^= 0x20;
  Found found(journal);
  CHECK(found.take() == expected);
  CHECK(found.knows(1, 5));
  CHECK(found.log.contains("damage in batch 2 at client web-1, numbers 2 to 4"));
}

TEST_CASE("recovery: of a run that holds frames of another, all of them intact, none is kept") {
  JournalBytes journal;
  journal.session(1).message(1, 1, "a").write();
  const Bytes run = join({data(2, "b"), data(3, "c")});
  const Bytes other = data(3, "x");
  const BatchHeader mixed =
      journal.record({.type = RecordType::frames, .session = 1, .first = {2}, .count = 2, .body = run}).write();
  journal.message(1, 4, "e").write();
  const auto bytes = journal.batch(mixed).subspan(kBatchHeaderSize + kRecordHeaderSize + run.size() / 2);
  std::copy(other.begin(), other.end(), bytes.begin());
  Found found(journal);
  CHECK(found.take() == "a|e|");
  CHECK(found.log.contains("damage in batch 2 at client web-1, numbers 2 to 3"));
}

TEST_CASE("recovery: damage to a session record does not take the messages behind it") {
  JournalBytes journal;
  const BatchHeader batch = journal.session(1).message(1, 1, "a").message(1, 2, "b").write();
  journal.write();
  std::size_t at = kBatchHeaderSize;
  SUBCASE("in its header") { at += 10; }
  SUBCASE("in its body") { at += kRecordHeaderSize + 3; }
  journal.batch(batch)[at] ^= 4;
  Found found(journal);
  CHECK(found.take() == "a|b|");
  CHECK(found.knows(1, 2));
  CHECK(found.log.contains("damaged places in batch 1"));
}

TEST_CASE("recovery: a batch in the middle of which nothing is left is named, and the others are taken") {
  Sealed sealed;
  const auto bytes = sealed.journal.batch(sealed.second);
  std::fill(bytes.begin(), bytes.end(), std::uint8_t{0});
  Found found(sealed.journal);
  CHECK(found.take() == "a|e|");
  CHECK(found.knows(1, 5));
  CHECK(found.log.contains("batch 2 is gone"));
  CHECK(found.errors() > 0);
}

TEST_CASE("recovery: front and end of a batch are enough, one of them") {
  Sealed sealed;
  const auto bytes = sealed.journal.batch(sealed.second);
  SUBCASE("the end") { std::fill_n(bytes.begin(), kBatchHeaderSize, std::uint8_t{0}); }
  SUBCASE("the front") { std::fill_n(bytes.end() - kBatchHeaderSize, kBatchHeaderSize, std::uint8_t{0}); }
  Found found(sealed.journal);
  CHECK(found.take() == "a|b|c|d|e|");
}

TEST_CASE("recovery: a torn batch proves that the one before it was synced") {
  // The power went while the third was written; of the second, acknowledged by then, a sector went bad.
  JournalBytes journal;
  journal.session(1).message(1, 1, "a").write();
  const BatchHeader second = journal.message(1, 2, "b").message(1, 3, "c").write();
  const BatchHeader third = journal.large_message(1, 4, "d", 9'000).write();
  journal.batch(third)[6'000] ^= 1;
  journal.batch(second)[kBatchHeaderSize + 45] ^= 1;
  Found found(journal);
  CHECK(found.take() == "a|c|");
  CHECK(found.knows(1, 3));
  CHECK(found.errors() > 0);
}

TEST_CASE("recovery: the batches of a segment whose first block is damaged are read all the same") {
  Sealed sealed;
  sealed.journal.bytes_of(1)[40] ^= 1;
  Found found(sealed.journal);
  CHECK(found.take() == "a|b|c|d|e|");
  CHECK(found.log.contains("first block"));
}

TEST_CASE("recovery: the last batch of a damaged journal is still the end") {
  Sealed sealed;
  for (const BatchHeader& batch : {sealed.first, sealed.second, sealed.third}) {
    const auto bytes = sealed.journal.batch(batch);
    std::fill(bytes.begin() + kBatchHeaderSize, bytes.end() - kBatchHeaderSize, std::uint8_t{0xff});
  }
  Found found(sealed.journal);
  CHECK(found.open().empty());
  CHECK(found.errors() >= 3);
  CHECK(found.store->journal().gathering_number() > sealed.seal.number);
}

TEST_CASE("recovery: random damage never stops the daemon, and it opens again on what it left") {
  Random random(3);
  for (int round = 0; round < 60; ++round) {
    CAPTURE(round);
    Sealed sealed;
    Bytes& bytes = sealed.journal.bytes_of(1);
    for (int i = 0; i < 40; ++i)
      bytes[random.below(5 * kBlockSize)] ^= static_cast<std::uint8_t>(1 + random.below(255));
    Found found(sealed.journal);
    REQUIRE(found.open().empty());
    found.rest();
    found.close();
    REQUIRE(found.open().empty());
    found.rest();
  }
}

// --- files ---

TEST_CASE("recovery: a segment that cannot be read is not thrown away") {
  Sealed sealed;
  Found found(sealed.journal);
  found.disk.fault = [](const FileOp& op, const std::string& path) {
    return op.kind == FileOp::Kind::read && path == JournalBytes::path_of(1) ? EIO : 0;
  };
  const std::string trouble = found.open();
  CHECK((!trouble.empty() || found.errors() > 0));
  found.kill();
  found.disk.fault = nullptr;
  CHECK(found.take() == "a|b|c|d|e|");
}

TEST_CASE("recovery: segments of another store are not thrown away") {
  Sealed sealed;
  StoreEnd other;
  sealed.journal.save(other.disk);
  SUBCASE("the file that says which store this is, is another's") {
    other.disk.write_file("/store/store", encode_file_header(FileFormat::store, id_of(0x22), 0, 0));
  }
  SUBCASE("that file is gone") { other.disk.remove_file("/store/store"); }
  const Bytes before = other.disk.read_file(JournalBytes::path_of(1));
  const std::string trouble = other.open();
  CHECK(!trouble.empty());
  CHECK(other.disk.read_file(JournalBytes::path_of(1)) == before);
}

TEST_CASE("recovery: a segment of a newer format is left alone, with all beside it") {
  Sealed sealed;
  sealed.journal.begin_segment(2);
  Bytes& newer = sealed.journal.bytes_of(2);
  store_be(&newer[8], kStoreFormat + 1);
  store_be(&newer[60], crc32(0, ByteView(newer).first(60)));
  Found found(sealed.journal);
  found.disk.write_file("/store/journal/00000003.seg", as_bytes("never finished"));
  const std::vector<std::string> names = found.disk.list_directory("/store/journal");
  const std::string trouble = found.open();
  CHECK(trouble.find("was written by cprotod 0.1.0; this version cannot read it") != std::string::npos);
  CHECK(found.disk.list_directory("/store/journal") == names);
  CHECK(found.disk.read_file(JournalBytes::path_of(1)) == sealed.journal.bytes_of(1));
}

TEST_CASE("recovery: a segment that was never finished is removed") {
  Sealed sealed;
  Found found(sealed.journal);
  const std::string path = JournalBytes::path_of(7);
  SUBCASE("empty") { found.disk.write_file(path, {}); }
  SUBCASE("zeros") { found.disk.write_file(path, Bytes(20'000)); }
  SUBCASE("too short") {
    JournalBytes other;
    other.begin_segment(7);
    found.disk.write_file(path, ByteView(other.bytes_of(7)).first(20'000));
  }
  CHECK(found.take() == "a|b|c|d|e|");
  CHECK(!found.disk.exists(path));
}

TEST_CASE("recovery: other files among the segments are left alone") {
  Sealed sealed;
  Found found(sealed.journal);
  found.disk.write_file("/store/journal/README", as_bytes("mine"));
  CHECK(found.take() == "a|b|c|d|e|");
  CHECK(as_text(found.disk.read_file("/store/journal/README")) == "mine");
}

TEST_CASE("recovery: a store whose identity is damaged is not opened") {
  Sealed sealed;
  Found found(sealed.journal);
  found.disk.flip("/store/store", 35);
  CHECK(found.open() == "/store/store is damaged");
  CHECK(found.disk.read_file(JournalBytes::path_of(1)) == sealed.journal.bytes_of(1));
}

// --- what was merely read ---

TEST_CASE("recovery: the last batch is durable before anybody is told of it") {
  JournalBytes journal;
  journal.session(1).message(1, 1, "a").write();
  Found found(journal);
  // The next batch is in the page cache only, as kill -9 leaves it.
  const BatchHeader last = journal.message(1, 2, "b").write();
  File file;
  Job write{file_op::open(file, JournalBytes::path_of(1)), file_op::write(file, last.offset, journal.batch(last))};
  REQUIRE(found.disk.run(write).ok());
  REQUIRE(found.open().empty());
  CHECK(found.knows(1, 2));
  found.cut_power(Loss::everything);
  CHECK(found.take() == "a|b|");
  CHECK(found.knows(1, 2));
}

TEST_CASE("recovery: a segment that only an unsynced batch gives away is not written to") {
  // The third batch, by which the first segment is free, is in the page cache only. Recovery believes it, and dies at
  // any moment; then the power goes.
  constexpr std::uint64_t kTries = 8;
  bool is_through = false;
  for (std::uint64_t seed = 0; !is_through; ++seed) {
    const std::uint64_t operations = seed / kTries;
    CAPTURE(operations);
    JournalBytes journal;
    journal.session(1).message(1, 1, "a").write();
    journal.begin_segment(2);
    Bytes checkpoint;
    encode_checkpoint({.delivered = 1, .next_log_id = 1, .logs = {}, .parts = {}}, checkpoint);
    journal.session(1, "messages", 1).record({.type = RecordType::checkpoint, .body = checkpoint}).write();
    Found found(journal, seed);
    journal.tail = 2;
    const BatchHeader last = journal.message(1, 2, "b").write();
    File file;
    Job write{file_op::open(file, JournalBytes::path_of(2)), file_op::write(file, last.offset, journal.batch(last))};
    REQUIRE(found.disk.run(write).ok());
    found.disk.crash_after(operations);
    try {
      const std::string trouble = found.open();
      REQUIRE(trouble.empty());
      is_through = true;
    } catch (const ProcessDied&) {
    }
    found.cut_power();
    REQUIRE(found.open().empty());
    CHECK(found.errors() == 0);
  }
}

TEST_CASE("recovery: the last batch outlives two starts that die at writing it again, and a power cut") {
  // What the first of them wrote in its stead is in the page cache only, and what is durable is not written over.
  JournalBytes journal;
  journal.session(1).message(1, 1, "a").write();
  journal.begin_segment(2);
  journal.message(1, 2, "b").write();
  const auto is_through = [](Found& found, std::uint64_t operations) {
    found.disk.crash_after(operations);
    try {
      REQUIRE(found.open().empty());
      return true;
    } catch (const ProcessDied&) {
      return false;
    }
  };
  bool first_is_through = false;
  for (std::uint64_t first = 0; !first_is_through; ++first) {
    bool second_is_through = false;
    for (std::uint64_t second = 0; !second_is_through; ++second) {
      CAPTURE(first);
      CAPTURE(second);
      for (std::uint64_t seed = 0; seed < 4; ++seed) {
        Found found(journal, seed);
        first_is_through = is_through(found, first);
        found.kill();
        second_is_through = is_through(found, second);
        found.cut_power();
        REQUIRE(found.open().empty());
        CHECK(found.knows(1, 2));
        CHECK(found.errors() == 0);
      }
    }
  }
}

TEST_CASE("recovery: starts that end before they write anything new do not each take another segment") {
  JournalBytes journal;
  journal.session(1).message(1, 1, "a").write();
  journal.begin_segment(2);
  journal.message(1, 2, "b").write();
  Found found(journal);
  for (int start = 0; start < 25; ++start) {
    REQUIRE(found.open().empty());
    REQUIRE(found.knows(1, 2));
    found.kill();
  }
  CHECK(found.segments().size() <= 5);
  CHECK(found.take() == "a|b|");
}

TEST_CASE("recovery: opened again and again it comes to the same, and its files do not grow in number") {
  Sealed sealed;
  Found found(sealed.journal);
  for (int life = 0; life < 12; ++life) {
    REQUIRE(found.take() == "a|b|c|d|e|");
    REQUIRE(found.knows(1, 5));
    life % 2 == 0 ? found.kill() : found.cut_power();
  }
  CHECK(found.segments().size() <= 8);
  CHECK(found.errors() == 0);
}

TEST_CASE("recovery: a crash at any operation of it, and again, changes nothing") {
  for (const bool cuts_power : {false, true}) {
    for (std::uint64_t seed = 1; seed <= 2; ++seed) {
      Sealed sealed;
      Found found(sealed.journal, seed);
      bool is_through = false;
      for (std::uint64_t operations = 0; !is_through; ++operations) {
        CAPTURE(operations);
        found.disk.crash_after(operations);
        try {
          const std::string trouble = found.open();
          REQUIRE(trouble.empty());
          found.run(50ms);
          is_through = true;
        } catch (const ProcessDied&) {
        }
        cuts_power ? found.cut_power() : found.kill();
      }
      CHECK(found.take() == "a|b|c|d|e|");
      CHECK(found.knows(1, 5));
      CHECK(found.errors() == 0);
    }
  }
}

// --- sessions ---

TEST_CASE("recovery: a mark that was carried forward counts, wherever the frames before it are") {
  JournalBytes journal;
  journal.number = journal.tail = 30;
  journal.message(1, 7, "g").write();  // its session record was in a segment that is gone
  journal.session(1, "messages", 7).write();
  journal.message(1, 8, "h").write();
  Found found(journal);
  CHECK(found.take() == "g|h|");
  CHECK(found.knows(1, 8));
}

TEST_CASE("recovery: a session that ended is not known, and its index is not used again") {
  JournalBytes journal;
  journal.session(1).message(1, 1, "a").write();
  journal.session(2, "other").message(2, 1, "x").write();
  journal.forget(2).write();
  Found found(journal);
  CHECK(found.take() == "a|");
  CHECK(found.log_text("web-1", "other.log") == "x\n");
  SessionEnd again(found, "web-1", "other");
  again.syn.attempt = 5;
  again.syn.resume = Syn::Resume{JournalBytes::id_of_session(2), JournalBytes::kStore, {1}, 1, 1};
  CHECK(again.connect() == "unknown_session");
  SessionEnd fresh(found, "web-1", "other");
  REQUIRE(fresh.connect().empty());
  CHECK(fresh.entry->index > 2);
}

TEST_CASE("recovery: records of a session that is not there are passed over") {
  JournalBytes journal;
  journal.session(1).message(1, 1, "a").write();
  journal.message(5, 1, "nobody's").forget(6).write();
  journal.message(1, 2, "b").write();
  Found found(journal);
  CHECK(found.take() == "a|b|");
}

TEST_CASE("recovery: pieces that were carried forward past more of their message keep what is behind them") {
  const auto piece = [](std::uint64_t number, const Bytes& frame) {
    return Record{.type = RecordType::frames, .session = 1, .first = {number}, .count = 1, .body = frame};
  };
  const Bytes first = fragment(1, "x");
  const Bytes second = fragment(2, "y");
  JournalBytes journal;
  journal.session(1).record(piece(1, first)).write();
  journal.record(piece(2, second)).write();
  journal.begin_segment(2);
  Bytes pieces;
  encode_pieces({.first = {1},
                 .through = {1},
                 .kind = MessageKind::text,
                 .channel = "messages",
                 .checksum = crc32(0, as_bytes("x")),
                 .part_bytes = 0,
                 .bytes = as_bytes("x")},
                pieces);
  journal.session(1, "messages", 2).record({.type = RecordType::pieces, .session = 1, .body = pieces}).write();
  Bytes checkpoint;
  encode_checkpoint({.delivered = 3, .next_log_id = 1, .logs = {}, .parts = {}}, checkpoint);
  journal.record({.type = RecordType::checkpoint, .body = checkpoint}).write();
  Found found(journal);
  // The first segment is used again in the first life.
  for (int life = 0; life < 2; ++life) {
    REQUIRE(found.open().empty());
    found.run(3s);
    found.kill();
  }
  REQUIRE(found.open().empty());
  SessionEnd session(found);
  session.syn.attempt = 9;
  session.syn.resume = Syn::Resume{JournalBytes::id_of_session(1), JournalBytes::kStore, {1}, 1, 1};
  REQUIRE(session.connect().empty());
  session.send("z");
  found.sync();
  found.run(50ms);
  CHECK(found.log_text() == "xyz\n");
}

TEST_CASE("recovery: a checkpoint that claims more than was written before it is not believed") {
  JournalBytes journal;
  journal.session(1).message(1, 1, "a").write();
  Bytes checkpoint;
  encode_checkpoint({.delivered = 15, .next_log_id = 1, .logs = {}, .parts = {}}, checkpoint);
  journal.record({.type = RecordType::checkpoint, .body = checkpoint}).message(1, 2, "b").write();
  Found found(journal);
  CHECK(found.take() == "a|b|");
  found.rest();
}
