#include "daemon/journal_check.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "daemon/batch.h"

namespace cproto {

JournalCheck::JournalCheck(Disk& disk, Journal& journal, Damage damage, Done done)
    : disk_(disk),
      journal_(journal),
      journal_is_there_(journal.life()),
      damage_(std::move(damage)),
      done_(std::move(done)),
      last_(journal.last_durable()) {}

void JournalCheck::begin(Disk& disk, Journal& journal, Damage damage, Done done) {
  const std::shared_ptr<JournalCheck> check(new JournalCheck(disk, journal, std::move(damage), std::move(done)));
  check->read_next();
}

const BatchPlace* JournalCheck::next() const {
  const auto& batches = journal_.batches();
  const auto it =
      std::find_if(batches.begin(), batches.end(), [this](const BatchPlace& b) { return b.number >= number_; });
  return it == batches.end() || it->number > last_ ? nullptr : &*it;
}

void JournalCheck::read_next() {
  const BatchPlace* batch = next();
  if (batch == nullptr) return done_(read_);
  number_ = batch->number;
  bytes_.resize(batch->size);
  disk_.submit({file_op::read(journal_.file_of(*batch), batch->offset, bytes_)},
               [self = shared_from_this()](JobResult result) { self->on_read(result); });
}

void JournalCheck::on_read(const JobResult& result) {
  const auto journal_is_there = journal_is_there_.lock();
  if (!journal_is_there || !*journal_is_there) return;
  // One that went back meanwhile is passed over: its place is somebody else's.
  if (const BatchPlace* batch = next(); batch != nullptr && batch->number == number_) {
    ++read_;
    const std::string name = "batch " + std::to_string(number_) + " in segment " + std::to_string(batch->segment);
    const auto header = decode_batch_header(bytes_.data());
    if (!result.ok())
      damage_(name + " cannot be read: " + std::strerror(result.error));
    else if (!header || header->number != number_ || !batch_checks(*header, bytes_))
      damage_(name + " does not check");
  }
  ++number_;
  read_next();
}

}  // namespace cproto
