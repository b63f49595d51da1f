#include "daemon/delivery_records.h"

#include <utility>

namespace cproto {

void DeliveryRecords::note(const Record& record, std::uint64_t batch) {
  switch (record.type) {
    case RecordType::pieces: pieces[record.session] = {batch, Bytes(record.body.begin(), record.body.end())}; return;
    case RecordType::log_opened:
      if (auto log = decode_log(record.body)) logs.push_back(std::move(*log));
      return;
    case RecordType::checkpoint: {
      auto next = decode_checkpoint(record.body);
      // One that says more than had been written is nothing a daemon wrote.
      if (next && next->delivered > batch) return;
      if (next) checkpoint = std::move(*next);
      logs.clear();
      return;
    }
    case RecordType::frames:
    case RecordType::skipped:
    case RecordType::session:
    case RecordType::forget:
    case RecordType::file: return;
  }
}

}  // namespace cproto
