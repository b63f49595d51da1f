#include "daemon/journal.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "daemon/store_format.h"
#include "proto/assert.h"

namespace cproto {

namespace {

// Delivery may lag by so many segments before senders are held.
constexpr std::size_t kBacklogSegments = 8;
// Restarts begin fresh ones; beyond so many the oldest goes back even if there is a free one.
constexpr std::size_t kSegmentsInUse = 4;
constexpr std::uint32_t kSegmentMode = 0600;
constexpr std::size_t kSpareBuffers = 4;

}  // namespace

std::string segment_path(const std::string& directory, std::uint32_t index) {
  char name[16];
  std::snprintf(name, sizeof name, "/%08u.seg", index);
  return directory + name;
}

Bytes segment_block(const StoreId& store, const Segment& segment) {
  Bytes block = encode_file_header(FileFormat::segment, store, segment.index,
                                   static_cast<std::uint32_t>(segment.size / kBlockSize));
  block.resize(kBlockSize);
  return block;
}

Job segment_job(const std::string& directory, Segment& segment, ByteView first_block) {
  const std::string path = segment_path(directory, segment.index);
  return {file_op::remove(path),
          file_op::create(segment.file, path, kSegmentMode),
          file_op::zero_fill(segment.file, segment.size),
          file_op::write(segment.file, 0, first_block),
          file_op::sync_data(segment.file),
          file_op::drop_cached(segment.file, 0, segment.size),
          file_op::sync_directory(directory)};
}

Job reading_job(File& file, std::uint64_t offset, std::span<std::uint8_t> into, bool is_again) {
  Job job;
  if (is_again) job.push_back(file_op::drop_cached(file, offset, into.size()));
  job.push_back(file_op::read(file, offset, into));
  return job;
}

BatchRead read_batch(Disk& disk, File& file, std::uint64_t offset, std::span<std::uint8_t> into,
                     const std::function<bool(ByteView)>& is_intact) {
  bool is_read = false;
  for (unsigned tries = 0; tries < kReadTries; ++tries) {
    Job job = reading_job(file, offset, into, tries > 0);
    is_read = disk.run(job).ok();
    if (is_read && is_intact(into)) return BatchRead::intact;
  }
  return is_read ? BatchRead::damaged : BatchRead::failed;
}

Journal::Journal(Disk& disk, const JournalOptions& options, JournalPosition position, Owner& owner)
    : disk_(disk),
      options_(options),
      owner_(owner),
      in_use_(std::move(position.in_use)),
      free_(std::move(position.free)),
      batches_(std::move(position.batches)),
      next_number_(position.next_number),
      last_number_(position.last_number),
      last_checksum_(position.last_checksum),
      next_segment_(position.next_segment),
      end_(position.end),
      needs_segment_(position.end == 0) {
  begin_gathering();
  if (free_.empty()) prepare_segment(options_.segment_size);
}

Journal::~Journal() { *alive_ = false; }

// --- gathering ---

void Journal::begin_gathering() {
  gathered_.reset();
  for (auto& spare : spare_) {
    if (spare.use_count() == 1) {
      gathered_ = spare;
      break;
    }
  }
  if (!gathered_) {
    gathered_ = std::make_shared<Bytes>();
    if (spare_.size() < kSpareBuffers) spare_.push_back(gathered_);
  }
  gathered_->reserve(std::max<std::size_t>(kPagedSize, flying_ ? flying_->size() : 0));  // much is followed by much
  gathered_->assign(kBatchHeaderSize, 0);
  gathering_number_ = next_number_++;
}

void Journal::append(const Record& record) { append_record(record, gathering_number_, *gathered_); }

std::uint64_t Journal::batch_limit() const { return std::min(options_.batch_bytes, options_.segment_size / 4); }

std::size_t Journal::room() const {
  if (has_failed_ || backlog_segments() > kBacklogSegments) return 0;
  const std::uint64_t limit = batch_limit();
  return gathered_->size() >= limit ? 0 : limit - gathered_->size();
}

// --- writing ---

void Journal::flush() {
  if (job_is_running_ || has_failed_) return;
  recycle();
  if (!is_gathering() || !find_place(batch_size(gathered_->size() - kBatchHeaderSize))) return;
  write_gathered();
  recycle();  // before readers fill the next batch: else there may never be room to carry anything forward
}

void Journal::seal() {
  if (!can_seal()) return;
  if (find_place(batch_size(0))) write_gathered();
}

bool Journal::find_place(std::size_t size) {
  if (!needs_segment_ && size <= in_use_.back()->size - end_) return true;
  // One made when segments were configured smaller may be too small.
  if (free_.empty() || needs_made_one_ || free_.back()->size - kBlockSize < size) {
    awaits_segment_ = true;
    prepare_segment(std::max<std::uint64_t>(options_.segment_size, size + kBlockSize));
    return false;
  }
  in_use_.push_back(std::move(free_.back()));
  free_.pop_back();
  end_ = kBlockSize;
  needs_segment_ = false;
  return true;
}

// STORE §3.
void Journal::write_gathered() {
  flying_ = std::move(gathered_);
  const std::size_t used = flying_->size() - kBatchHeaderSize;
  is_sealed_ = used == 0;
  Segment& segment = *in_use_.back();
  flying_header_ = {.store = options_.store,
                    .number = gathering_number_,
                    .segment = segment.index,
                    .offset = static_cast<std::uint32_t>(end_),
                    .size = batch_size(used),
                    .used = static_cast<std::uint32_t>(used),
                    .previous = last_number_,
                    .previous_checksum = last_checksum_,
                    .tail = tail(),
                    .secret = options_.secret,
                    .checksum = 0};
  flying_->resize(flying_header_.size);
  encode_batch_header(flying_header_, flying_->data());
  std::memcpy(flying_->data() + flying_->size() - kBatchHeaderSize, flying_->data(), kBatchHeaderSize);
  if (segment.first_batch == 0) segment.first_batch = flying_header_.number;
  begin_gathering();
  owner_.on_batch_started();
  submit_flying();
}

void Journal::submit_flying() {
  job_is_running_ = true;
  Segment& segment = *in_use_.back();
  Job job{file_op::write_past_cache(segment.file, flying_header_.offset, *flying_), file_op::sync_data(segment.file)};
  disk_.submit(std::move(job), [this, alive = alive_](JobResult result) {
    if (*alive) on_written(result);
  });
}

void Journal::on_written(JobResult result) {
  job_is_running_ = false;
  if (!result.ok()) {
    // A second sync would say OK and lie: the kernel has dropped what it could not write.
    in_use_.back()->has_failed = has_failed_ = true;
    is_sealed_ = false;
    owner_.on_failed(result.error, in_use_.back()->index);
    return;
  }
  end_ += flying_header_.size;
  last_number_ = flying_header_.number;
  last_checksum_ = flying_header_.checksum;
  batches_.push_back({flying_header_.number, flying_header_.segment, flying_header_.offset, flying_header_.size,
                      flying_header_.used, nullptr});
  BatchPlace place = batches_.back();
  place.bytes = std::move(flying_);
  if (carried_in_ != 0 && last_number_ >= carried_in_) {
    retire_oldest();
  } else if (flying_header_.tail == tail()) {
    free_retired();  // this batch says that they are behind the tail
  }
  owner_.on_durable(place, result.sync_time);
  flush();
}

// What was on its way goes before what was gathered meanwhile, both under a number never used before.
void Journal::retry() {
  if (!has_failed_) return;
  has_failed_ = false;
  needs_segment_ = needs_made_one_ = true;
  merge_failed();
  flush();
}

void Journal::merge_failed() {
  if (!flying_) return;
  const std::shared_ptr<Bytes> failed = std::move(flying_);
  const std::shared_ptr<Bytes> gathered = gathered_;
  BatchHeader gathered_header;
  gathered_header.number = gathering_number_;
  gathered_header.used = static_cast<std::uint32_t>(gathered->size() - kBatchHeaderSize);
  begin_gathering();
  const RecordVisitor copy{[this](const Record& record) { append(record); },
                           [](const std::optional<Record>&) { CPROTO_ASSERT(false); }};
  visit_records(flying_header_, *failed, copy);
  visit_records(gathered_header, *gathered, copy);
}

// --- segments ---

std::uint64_t Journal::tail() const {
  for (const auto& segment : in_use_)
    if (segment->first_batch != 0) return segment->first_batch;
  return gathering_number_;
}

// Segments with something that delivery still needs.
std::size_t Journal::backlog_segments() const {
  std::size_t released = 0;
  while (released + 1 < in_use_.size() && in_use_[released + 1]->first_batch != 0 &&
         in_use_[released + 1]->first_batch <= released_before_)
    ++released;
  return in_use_.size() - released;
}

File& Journal::file_of(const BatchPlace& batch) {
  const auto it =
      std::find_if(in_use_.begin(), in_use_.end(), [&](const auto& s) { return s->index == batch.segment; });
  CPROTO_ASSERT(it != in_use_.end());
  return (*it)->file;
}

bool Journal::read(const BatchPlace& batch, Bytes& bytes) {
  bytes.resize(batch.size);
  const auto is_intact = [&](ByteView read) { return is_intact_batch(batch.number, read); };
  return read_batch(disk_, file_of(batch), batch.offset, bytes, is_intact) != BatchRead::failed;
}

void Journal::release_before(std::uint64_t number) {
  released_before_ = std::max(released_before_, number);
  flush();
}

// DESIGN: before the oldest segment is used again, what is still live in it is carried forward and synced.
void Journal::recycle() {
  const bool is_wanted = free_.empty() || in_use_.size() > kSegmentsInUse;
  if (!is_wanted || !retired_.empty() || carried_in_ != 0 || in_use_.size() < 2) return;
  const std::uint64_t before = in_use_[1]->first_batch;
  if (before == 0 || before > released_before_) {
    if (free_.empty() && end_ > in_use_.back()->size / 2)
      prepare_segment(options_.segment_size);  // delivery lags: have another one ready in time
    return;
  }
  if (!owner_.carry_forward(before)) return;
  carried_in_ = is_gathering() ? gathering_number_ : job_is_running_ ? flying_header_.number : last_number_;
  if (carried_in_ == last_number_) retire_oldest();  // nothing was live in it
}

void Journal::retire_oldest() {
  carried_in_ = 0;
  std::unique_ptr<Segment> oldest = std::move(in_use_.front());
  in_use_.pop_front();
  while (!batches_.empty() && batches_.front().segment == oldest->index) batches_.pop_front();
  oldest->first_batch = 0;
  retired_.push_back(std::move(oldest));
}

void Journal::free_retired() {
  for (auto& segment : std::exchange(retired_, {}))
    segment->has_failed ? remove_segment(std::move(segment)) : free_.push_back(std::move(segment));
}

// A file that failed, or was never finished, only takes space.
void Journal::remove_segment(std::unique_ptr<Segment> segment) {
  const std::shared_ptr<Segment> going = std::move(segment);
  Job job;
  if (going->file.is_open()) job.push_back(file_op::close(going->file));
  job.push_back(file_op::remove(segment_path(options_.directory, going->index)));
  disk_.submit(std::move(job), [going](JobResult) {});
}

void Journal::prepare_segment(std::uint64_t size) {
  if (making_) return;
  making_ = std::make_unique<Segment>();
  making_->index = next_segment_++;
  making_->size = (size + kBlockSize - 1) / kBlockSize * kBlockSize;
  making_block_ = segment_block(options_.store, *making_);
  disk_.submit(segment_job(options_.directory, *making_, making_block_), [this, alive = alive_](JobResult result) {
    if (*alive) on_segment_made(result);
  });
}

void Journal::on_segment_made(JobResult result) {
  std::unique_ptr<Segment> made = std::move(making_);
  if (!result.ok()) {
    const std::uint32_t index = made->index;
    remove_segment(std::move(made));
    // Nothing is lost by it yet; a batch that waits for it makes it a failure.
    if (!std::exchange(awaits_segment_, false)) return;
    has_failed_ = true;
    return owner_.on_failed(result.error, index);
  }
  awaits_segment_ = false;
  free_.push_back(std::move(made));
  needs_made_one_ = false;
  flush();
}

}  // namespace cproto
