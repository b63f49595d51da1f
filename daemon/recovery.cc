#include "daemon/recovery.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <map>
#include <optional>

#include "daemon/store_format.h"
#include "proto/frame.h"

namespace cproto {

namespace {

constexpr std::uint64_t kReadSize = 1u << 20;
constexpr std::uint32_t kDirectoryMode = 0700;

StoreProblem problem(int error, const std::string& what) { return {error, false, what + ": " + std::strerror(error)}; }

// All intact headers and trailers of one segment, by batch number. A place may be claimed by several of them: batches
// of this use of the segment and, behind its end, stale ones of earlier uses. The chain tells which count.
using Candidates = std::multimap<std::uint64_t, ChainBatch>;

class Scanner {
 public:
  Scanner(Disk& disk, const JournalOptions& options, Chain& chain, Candidates& found)
      : disk_(disk), options_(options), chain_(chain), found_(found) {}

  // Whether the file is a segment of this store; a problem if it is of a newer format.
  std::variant<bool, StoreProblem> open(const std::string& name);
  // Removes what was never finished. Once all files were seen: beside one of a newer format nothing is touched.
  void remove_useless();

 private:
  void scan(Segment& segment);
  void read_blocks(Segment& segment, std::uint64_t at, std::span<std::uint8_t> into);
  void look_at(const std::uint8_t* p, const Segment& segment, std::uint64_t block, bool is_trailer);

  Disk& disk_;
  const JournalOptions& options_;
  Chain& chain_;
  Candidates& found_;
  std::vector<std::string> useless_;
};

void Scanner::remove_useless() {
  for (const std::string& path : useless_) {
    Job remove{file_op::remove(path)};
    disk_.run(remove);
  }
}

std::variant<bool, StoreProblem> Scanner::open(const std::string& name) {
  if (!is_segment_name(name)) return false;
  const std::string path = options_.directory + "/" + name;
  auto segment = std::make_unique<Segment>();
  FileStatus status;
  Job job{file_op::open(segment->file, path), file_op::status(segment->file, status)};
  if (const JobResult result = disk_.run(job); !result.ok()) return problem(result.error, path);
  segment->index = static_cast<std::uint32_t>(std::strtoul(name.c_str(), nullptr, 10));
  chain_.highest_segment = std::max(chain_.highest_segment, segment->index);
  Bytes block(kFileHeaderSize);
  Job read{file_op::read(segment->file, 0, block)};
  std::optional<FileHeader> header;
  if (status.size >= kFileHeaderSize) {
    if (const JobResult result = disk_.run(read); !result.ok()) return problem(result.error, path);
    header = decode_file_header(FileFormat::segment, block);
  }
  if (header && header->format > kStoreFormat)
    return StoreProblem{0, true, path + " was written by cprotod " + header->program + "; this version cannot read it"};
  if (header && header->store != options_.store)
    return StoreProblem{0, false, path + " belongs to another store. Move it away, or put its file \"store\" back"};
  segment->size = status.size / kBlockSize * kBlockSize;
  const std::size_t found_before = found_.size();
  scan(*segment);
  // One that was still being made has nothing of ours; one whose first block alone is damaged has.
  const bool is_whole = header && header->store == options_.store && header->number == segment->index &&
                        segment->size >= std::uint64_t{header->blocks} * kBlockSize;
  if (!is_whole && !segment->has_failed && found_.size() == found_before) {
    Job close{file_op::close(segment->file)};
    disk_.run(close);
    useless_.push_back(path);
    return false;
  }
  if (!is_whole)
    chain_.damage.push_back("the first block of " + path + " is damaged; its batches are read all the same");
  segment->has_failed = segment->has_failed || !is_whole;
  chain_.segments.push_back(std::move(segment));
  return true;
}

void Scanner::scan(Segment& segment) {
  Bytes buffer(kReadSize);
  for (std::uint64_t at = 0; at < segment.size; at += kReadSize) {
    const std::uint64_t count = std::min(kReadSize, segment.size - at);
    Job job{file_op::read(segment.file, at, std::span(buffer).first(count))};
    if (!disk_.run(job).ok()) read_blocks(segment, at, std::span(buffer).first(count));
    for (std::uint64_t block = 0; block < count; block += kBlockSize) {
      look_at(buffer.data() + block, segment, at + block, false);
      look_at(buffer.data() + block + kBlockSize - kBatchHeaderSize, segment, at + block, true);
    }
  }
}

// Block by block, so that a bad one takes no others with it.
void Scanner::read_blocks(Segment& segment, std::uint64_t at, std::span<std::uint8_t> into) {
  for (; !into.empty(); at += kBlockSize, into = into.subspan(kBlockSize)) {
    const auto block = into.first(kBlockSize);
    Job job{file_op::read(segment.file, at, block)};
    if (disk_.run(job).ok()) continue;
    std::fill(block.begin(), block.end(), std::uint8_t{0});
    segment.has_failed = true;
    chain_.damage.push_back("segment " + std::to_string(segment.index) + " cannot be read at " + std::to_string(at));
  }
}

void Scanner::look_at(const std::uint8_t* p, const Segment& segment, std::uint64_t block, bool is_trailer) {
  const auto header = decode_batch_header(p);
  if (!header || header->store != options_.store || header->secret != options_.secret ||
      header->segment != segment.index)
    return;
  const std::uint64_t begin = is_trailer ? block + kBlockSize - header->size : block;
  if (begin != header->offset) return;
  chain_.highest_number = std::max(chain_.highest_number, header->number);
  const auto [first, last] = found_.equal_range(header->number);
  const bool is_known =
      std::any_of(first, last, [&](const auto& one) { return one.second.header.checksum == header->checksum; });
  if (!is_known) found_.emplace(header->number, ChainBatch{*header, segment.index, header->offset});
}

Segment* find_segment(Chain& chain, std::uint32_t index) {
  const auto it =
      std::find_if(chain.segments.begin(), chain.segments.end(), [&](const auto& s) { return s->index == index; });
  return it == chain.segments.end() ? nullptr : it->get();
}

// The newest batch that checks, or that a newer one proves to have been synced by being its successor: the end of the
// chain. What is newer was never synced, so nobody was told of it.
const ChainBatch* find_end(Disk& disk, Chain& chain, const Candidates& found) {
  const BatchHeader* successor = nullptr;
  for (auto it = found.rbegin(); it != found.rend(); ++it) {
    const BatchHeader& header = it->second.header;
    Bytes bytes;
    if (read_batch(disk, chain, it->second, bytes) == BatchRead::intact) return &it->second;
    if (successor != nullptr && header.number == successor->previous && header.checksum == successor->previous_checksum)
      return &it->second;
    if (successor == nullptr || header.previous > successor->previous) successor = &header;
    ++chain.torn_batches;
  }
  return nullptr;
}

// The batch a link names; nullptr if there is none.
const ChainBatch* find_linked(const Candidates& found, const BatchHeader& from) {
  const auto [first, last] = found.equal_range(from.previous);
  for (auto it = first; it != last; ++it)
    if (it->second.header.checksum == from.previous_checksum) return &it->second;
  return nullptr;
}

// The batch a link names, or, where that cannot be found at all, the newest one before it.
const ChainBatch* follow(Chain& chain, const Candidates& found, const BatchHeader& from) {
  if (const ChainBatch* linked = find_linked(found, from)) return linked;
  chain.damage.push_back("batch " + std::to_string(from.previous) + " is gone");
  auto before = found.lower_bound(from.previous);
  if (before == found.begin()) return nullptr;
  return &std::prev(before)->second;
}

// The end may be in the page cache only. Until its copy is durable, what the batch before it needs is needed; and if it
// is a copy itself, whose start died before it was synced, the older ones: one of them may be what is durable.
void hold(Chain& chain, const Candidates& found, const BatchHeader& end) {
  for (auto it = found.begin(); it != found.lower_bound(end.number); ++it) {
    const BatchHeader& older = it->second.header;
    if (older.previous != end.previous || older.previous_checksum != end.previous_checksum) continue;
    chain.held.insert(it->second.segment);
    chain.ends_with_copy = true;
  }
  const ChainBatch* at = find_linked(found, end);
  const std::uint64_t tail = at != nullptr ? at->header.tail : 0;
  for (; at != nullptr && at->header.number >= tail; at = find_linked(found, at->header))
    chain.held.insert(at->segment);
}

std::optional<StoreProblem> make_segment(Disk& disk, const JournalOptions& options, std::uint64_t size,
                                         JournalPosition& position) {
  auto made = std::make_unique<Segment>();
  made->index = position.next_segment++;
  made->size = size;
  const Bytes block = segment_block(options.store, *made);
  Job job = segment_job(options.directory, *made, block);
  if (const JobResult result = disk.run(job); !result.ok()) return problem(result.error, options.directory);
  position.free.push_back(std::move(made));
  return std::nullopt;
}

// Whether its segment takes the last batch once more.
bool fits_behind(const BatchHeader& last, const JournalPosition& position) {
  const Segment& newest = *position.in_use.back();
  return newest.index == last.segment && !newest.has_failed &&
         last.offset + std::uint64_t{last.size} * 2 <= newest.size;
}

// STORE §5.4. It may be in the page cache only. It gets a new number, and the link of the one it stands for: if this
// write is torn, that one is still the end of the chain; if not, it is no longer part of it. `at`: where in the newest
// segment.
std::optional<StoreProblem> rewrite_last(Disk& disk, const JournalOptions& options, const BatchHeader& last,
                                         ByteView bytes, std::uint64_t at, JournalPosition& position) {
  Segment& segment = *position.in_use.back();
  BatchHeader header = last;
  header.number = position.next_number++;
  if (segment.first_batch == 0) segment.first_batch = header.number;
  header.segment = segment.index;
  header.offset = static_cast<std::uint32_t>(at);
  header.tail = position.in_use.front()->first_batch;
  Bytes out(kBatchHeaderSize);
  visit_records(
      last, bytes,
      {[&](const Record& record) { append_record(record, header.number, out); }, [](const std::optional<Record>&) {}});
  header.used = static_cast<std::uint32_t>(out.size() - kBatchHeaderSize);
  header.size = batch_size(header.used);
  out.resize(header.size);
  encode_batch_header(header, out.data());
  std::memcpy(out.data() + out.size() - kBatchHeaderSize, out.data(), kBatchHeaderSize);
  // First what of the segment itself a start that died at making it did not sync: a batch behind a first block that is
  // lost would look like damage.
  Job job{file_op::sync_data(segment.file), file_op::write(segment.file, header.offset, out),
          file_op::sync_data(segment.file)};
  if (const JobResult result = disk.run(job); !result.ok()) return problem(result.error, options.directory);
  position.batches.push_back({header.number, header.segment, header.offset, header.size, header.used, nullptr});
  position.last_number = header.number;
  position.last_checksum = header.checksum;
  position.end = header.offset + header.size;
  return std::nullopt;
}

}  // namespace

bool is_segment_name(const std::string& name) { return name.size() > 4 && name.ends_with(".seg"); }

std::variant<Chain, StoreProblem> find_chain(Disk& disk, const JournalOptions& options,
                                             const std::function<void(const std::string&)>& on_progress) {
  Chain chain;
  Candidates found;
  std::vector<std::string> names;
  Job job{file_op::make_directory(options.directory, kDirectoryMode), file_op::list(options.directory, names)};
  if (const JobResult result = disk.run(job); !result.ok()) return problem(result.error, options.directory);
  std::sort(names.begin(), names.end());
  Scanner scanner(disk, options, chain, found);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string& name = names[i];
    if (on_progress)
      on_progress("reading journal segment " + std::to_string(i + 1) + " of " + std::to_string(names.size()));
    auto opened = scanner.open(name);
    if (auto* trouble = std::get_if<StoreProblem>(&opened)) return std::move(*trouble);
  }
  scanner.remove_useless();
  const ChainBatch* at = find_end(disk, chain, found);
  const std::uint64_t tail = at != nullptr ? at->header.tail : 0;
  if (at != nullptr) hold(chain, found, at->header);
  while (at != nullptr && at->header.number >= tail) {
    chain.batches.push_back(*at);
    at = at->header.previous == 0 || at->header.previous < tail ? nullptr : follow(chain, found, at->header);
  }
  std::reverse(chain.batches.begin(), chain.batches.end());
  return chain;
}

BatchRead read_batch(Disk& disk, Chain& chain, const ChainBatch& batch, Bytes& bytes, Check check) {
  Segment* segment = find_segment(chain, batch.segment);
  if (segment == nullptr) return BatchRead::failed;
  bytes.resize(batch.header.size);
  return read_batch(disk, segment->file, batch.offset, bytes,
                    [&](ByteView read) { return batch_checks(batch.header, read, check); });
}

std::variant<JournalPosition, StoreProblem> reopen(Disk& disk, const JournalOptions& options, Chain chain) {
  JournalPosition position;
  position.next_number = chain.highest_number + 1;
  position.next_segment = chain.highest_segment + 1;
  Bytes last;
  std::optional<BatchHeader> last_header;
  if (!chain.batches.empty()) {
    last_header = chain.batches.back().header;
    if (read_batch(disk, chain, chain.batches.back(), last) == BatchRead::failed)
      return problem(EIO, options.directory);
    position.last_number = last_header->previous;
    position.last_checksum = last_header->previous_checksum;
  }
  for (const ChainBatch& batch : chain.batches) {
    Segment* segment = find_segment(chain, batch.segment);
    if (segment->first_batch == 0) segment->first_batch = batch.header.number;
    if (&batch == &chain.batches.back() && last_header)
      break;  // in use until its copy is durable, and no part of the chain
    position.batches.push_back(
        {batch.header.number, batch.segment, batch.offset, batch.header.size, batch.header.used, nullptr});
  }
  std::vector<std::unique_ptr<Segment>> held;
  for (auto& segment : chain.segments) {
    if (segment->first_batch != 0) {
      position.in_use.push_back(std::move(segment));
    } else if (!segment->has_failed) {
      (chain.held.contains(segment->index) ? held : position.free).push_back(std::move(segment));
    }
  }
  std::sort(position.in_use.begin(), position.in_use.end(),
            [](const auto& a, const auto& b) { return a->first_batch < b->first_batch; });
  // One made when segments were configured smaller may be too small.
  const std::uint64_t needed = kBlockSize + (last_header ? last_header->size : 0);
  const auto fit =
      std::find_if(position.free.begin(), position.free.end(), [&](const auto& s) { return s->size >= needed; });
  // Else starts that end here would take another segment each.
  const bool goes_behind =
      fit == position.free.end() && last_header && chain.ends_with_copy && fits_behind(*last_header, position);
  if (fit != position.free.end()) {
    std::iter_swap(fit, position.free.end() - 1);
  } else if (!goes_behind) {
    if (auto trouble = make_segment(disk, options, std::max(options.segment_size, needed), position))
      return std::move(*trouble);
  }
  // A segment that was being made when the process died may have a name in the page cache only.
  Job sync{file_op::sync_directory(options.directory)};
  if (const JobResult result = disk.run(sync); !result.ok()) return problem(result.error, options.directory);
  if (last_header) {
    if (!goes_behind) {
      position.in_use.push_back(std::move(position.free.back()));
      position.free.pop_back();
    }
    const std::uint64_t at = goes_behind ? last_header->offset + last_header->size : kBlockSize;
    if (auto trouble = rewrite_last(disk, options, *last_header, last, at, position)) return std::move(*trouble);
  }
  std::move(held.begin(), held.end(), std::back_inserter(position.free));
  return position;
}

// The size of the frame `number` at the front of `rest`, by its sequence and checksum; 0 if it is not there.
static std::size_t frame_at(ByteView rest, Seq number) {
  if (rest.size() < kHeaderSize) return 0;
  const FrameHeader header = decode_header(rest.data());
  if (header.seq != to_wire(number) || header.payload_size > rest.size() - kHeaderSize) return 0;
  if (frame_checksum(rest.data(), header.payload_size) != header.checksum) return 0;
  return kHeaderSize + header.payload_size;
}

void salvage_frames(const Record& record, const std::function<void(Seq, ByteView)>& each) {
  // Each is intact, and yet they are not what the record was made for: frames that stood here before (STORE §4.1).
  if (frames_are_intact(record.body, record.count)) return;
  ByteView rest = record.body;
  Seq number = record.first;
  const Seq end = record.first + record.count;
  while (!rest.empty() && number < end) {
    std::size_t size = 0;
    Seq found = number;
    for (; found < end && size == 0; found = found.next()) size = frame_at(rest, found);
    if (size == 0) {
      rest = rest.subspan(1);
      continue;
    }
    number = found;  // one behind the frame that was found
    each({found.value - 1}, rest.first(size));
    rest = rest.subspan(size);
  }
}

}  // namespace cproto
