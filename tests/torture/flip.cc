// cproto-flip STORE SEED STEP
//
// Flips each byte of the journal of a store that rests, or every STEPth, one at a time, and lets the daemon's own
// recovery and delivery make of it what they can, on a disk in memory. STORE itself is only read. A byte may cost the
// record it belongs to, and of a run of messages the one that was hit; nothing else, and not without a line in the log.
//
// Prints what broke that, at most 20 lines, then a line of counts. Status 1 if anything did, 66 if STORE is none.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "daemon/batch.h"
#include "daemon/recovery.h"
#include "daemon/store_format.h"
#include "proto/assert.h"
#include "proto/frame.h"
#include "proto/random.h"
#include "tests/support/store_end.h"

namespace cproto::test {
namespace {

constexpr std::size_t kRecordHeaderSize = 40;  // STORE §4
constexpr Duration kLife = 50ms;               // until all is delivered
constexpr unsigned kLinesMax = 20;
constexpr int kUsage = 64;
constexpr int kNoInput = 66;

using Files = std::map<std::string, Bytes>;                     // by their path on the disk in memory
using Inbox = std::map<std::string, std::vector<std::string>>;  // lines by log
using Messages = std::set<std::string>;

Files read_store(const std::filesystem::path& store) {
  Files files;
  const auto read = [&](const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    files["/store/" + path.lexically_relative(store).string()] = {std::istreambuf_iterator<char>(file), {}};
  };
  read(store / "store");
  for (const auto& entry : std::filesystem::directory_iterator(store / "journal")) read(entry.path());
  return files;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = text.find('\n', begin)) != text.npos; begin = end + 1)
    lines.push_back(text.substr(begin, end - begin));
  return lines;
}

// One life: the daemon starts on these bytes and delivers.
struct Life {
  explicit Life(const Files& files) {
    end.options.segment_size = 16 * kBlockSize;  // of new ones
    end.disk.make_directories("/store/journal");
    for (const auto& [path, bytes] : files) end.disk.write_file(path, bytes);
  }
  void live() {
    trouble = end.open();
    if (!trouble.empty()) return;
    end.run(kLife);
    for (const std::string& client : end.disk.list_directory("/store/inbox"))
      inbox[client] = lines_of(end.log_text(client));
  }
  bool has_reported() const {
    return std::find(end.log.severities.begin(), end.log.severities.end(), Severity::error) != end.log.severities.end();
  }
  StoreEnd end;
  std::string trouble;
  Inbox inbox;
};

// Bytes of a file, and the messages that may be gone when one of them is flipped.
struct Place {
  std::string path;
  std::size_t begin = 0;
  std::size_t end = 0;
  Messages at_stake{};
};

// Where the batches are, and in them the runs and their frames.
class Map {
 public:
  explicit Map(const Files& files) : life_(files) {
    const auto header = decode_file_header(FileFormat::store, files.at("/store/store"));
    CPROTO_ASSERT(header);
    auto found = find_chain(life_.end.disk, {"/store/journal", header->store, header->number, 0});
    Chain& chain = std::get<Chain>(found);
    for (const auto& [path, bytes] : files)
      if (path != "/store/store") places.push_back({path, 0, kBlockSize});
    Bytes bytes;
    for (const ChainBatch& batch : chain.batches) {
      CPROTO_ASSERT(read_batch(life_.end.disk, chain, batch, bytes) != BatchRead::failed);
      add_batch(segment_path("/store/journal", batch.segment), batch, bytes);
    }
  }

  // None overlap but those of a batch and its parts, which come behind it.
  std::vector<Place> places;

 private:
  void add_batch(const std::string& path, const ChainBatch& batch, const Bytes& bytes) {
    places.push_back({path, batch.offset, batch.offset + batch.header.size});
    const auto each = [&](const Record& record) {
      if (record.type != RecordType::frames) return;
      const auto body = static_cast<std::size_t>(record.body.data() - bytes.data()) + batch.offset;
      Place run{path, body - kRecordHeaderSize, body};
      std::vector<Place> frames;
      ByteView rest = record.body;
      for (std::size_t at = body; !rest.empty();) {
        const std::size_t size = kHeaderSize + decode_header(rest.data()).payload_size;
        const Messages message{std::string(as_text(rest.subspan(kHeaderSize, size - kHeaderSize)))};
        frames.push_back({path, at, at + size, message});
        run.at_stake.insert(message.begin(), message.end());
        rest = rest.subspan(size);
        at += size;
      }
      places.push_back(run);
      places.insert(places.end(), frames.begin(), frames.end());
    };
    visit_records(batch.header, bytes, {each, [](const std::optional<Record>&) {}});
  }

  Life life_;
};

class Experiment {
 public:
  Experiment(Files files, std::uint64_t seed) : files_(std::move(files)), random_(seed) {
    Life whole(files_);
    whole.live();
    CPROTO_ASSERT(whole.trouble.empty() && !whole.has_reported());
    expected_ = whole.inbox;
  }

  int run(std::size_t step) {
    std::map<std::pair<std::string, std::size_t>, const Messages*> at_stake;
    const Map map(files_);
    for (const Place& place : map.places)
      for (std::size_t at = place.begin; at < place.end; ++at) at_stake[{place.path, at}] = &place.at_stake;
    std::size_t left = random_.below(step);
    for (const auto& [where, messages] : at_stake) {
      if (left-- > 0) continue;
      flip(where.first, where.second, *messages);
      left = step - 1;
    }
    std::size_t messages = 0;
    for (const auto& [log, lines] : expected_) messages += lines.size();
    std::printf("flipped=%zu messages=%zu cost_a_message=%zu reported=%zu bad=%zu\n", flipped_, messages,
                cost_a_message_, reported_, bad_);
    return bad_ == 0 ? 0 : 1;
  }

 private:
  void flip(const std::string& path, std::size_t at, const Messages& at_stake) {
    std::uint8_t& byte = files_.at(path).at(at);
    const std::uint8_t before = byte;
    byte = static_cast<std::uint8_t>(byte ^ random_.between(1, 255));
    Life life(files_);
    life.live();
    byte = before;
    ++flipped_;
    if (life.has_reported()) ++reported_;
    if (!life.trouble.empty()) return bad(path, at, "it does not start: " + life.trouble);
    bool is_any_lost = false;
    for (const auto& [log, lines] : expected_) {
      const std::vector<std::string>& arrived = life.inbox[log];
      auto next = arrived.begin();
      for (const std::string& line : lines) {
        if (next != arrived.end() && *next == line) {
          ++next;
          continue;
        }
        is_any_lost = true;
        if (!at_stake.contains(line)) bad(path, at, log + ": " + line + " is lost");
      }
      if (next != arrived.end()) bad(path, at, log + ": " + *next + " was not to be there");
    }
    if (!is_any_lost) return;
    ++cost_a_message_;
    if (!life.has_reported()) bad(path, at, "a message is lost without a word");
  }

  void bad(const std::string& path, std::size_t at, const std::string& why) {
    if (++bad_ <= kLinesMax) std::printf("%s, byte %zu: %s\n", path.c_str(), at, why.c_str());
  }

  Files files_;
  Random random_;
  Inbox expected_;
  std::size_t flipped_ = 0;
  std::size_t cost_a_message_ = 0;
  std::size_t reported_ = 0;
  std::size_t bad_ = 0;
};

}  // namespace
}  // namespace cproto::test

int main(int argc, char** argv) {
  const std::size_t step = argc == 4 ? std::strtoul(argv[3], nullptr, 10) : 0;
  if (step == 0) {
    std::fputs("usage: cproto-flip STORE SEED STEP\n", stderr);
    return cproto::test::kUsage;
  }
  if (!std::filesystem::is_directory(std::filesystem::path(argv[1]) / "journal")) {
    std::fprintf(stderr, "cproto-flip: %s is no store\n", argv[1]);
    return cproto::test::kNoInput;
  }
  cproto::test::Experiment experiment(cproto::test::read_store(argv[1]), std::strtoull(argv[2], nullptr, 10));
  return experiment.run(step);
}
