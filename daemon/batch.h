// What the journal is made of: batches, and the records in them (STORE.md §3, §4). Knows the layout, not what a record
// means.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "proto/bytes.h"
#include "proto/handshake.h"
#include "proto/seq.h"

namespace cproto {

// Batches begin on such a boundary and are padded to one: no write touches a block with acknowledged bytes.
inline constexpr std::size_t kBlockSize = 4096;
inline constexpr std::size_t kBatchHeaderSize = 80;
inline constexpr std::size_t kRecordHeaderSize = 40;

// STORE §3. Repeated as the batch's trailer.
struct BatchHeader {
  StoreId store{};
  std::uint64_t number = 0;
  std::uint32_t segment = 0;
  std::uint32_t offset = 0;             // of the batch in its segment, bytes
  std::uint32_t size = 0;               // with padding and trailer
  std::uint32_t used = 0;               // by records
  std::uint64_t previous = 0;           // number of the last synced batch before it; 0: none
  std::uint32_t previous_checksum = 0;  // of that batch's header
  std::uint64_t tail = 0;               // the oldest batch still needed
  std::uint64_t secret = 0;             // the store's: no peer knows it, so no message can hold the image of a batch
  std::uint32_t checksum = 0;           // of this header
};

// Bytes that a batch with so many bytes of records takes.
std::uint32_t batch_size(std::size_t used);
// Writes the header to `out` (kBatchHeaderSize bytes) and sets header.checksum.
void encode_batch_header(BatchHeader& header, std::uint8_t* out);
// nullopt if these kBatchHeaderSize bytes are no intact header.
std::optional<BatchHeader> decode_batch_header(const std::uint8_t* p);

enum class RecordType : std::uint8_t {
  frames = 1,      // a run of one session's frames, as they came
  skipped = 2,     // a number whose frame was thrown away, being of a refused message
  session = 3,     // everything a session is: written with its first frames, and carried forward
  forget = 4,      // the session is no more
  pieces = 5,      // what has come of an unfinished message, carried forward
  log_opened = 6,  // delivery will write behind this length of this file
  checkpoint = 7,  // how far delivery is safe
  file = 8,        // how far a file has come, and whether it is whole
};

struct Record {
  RecordType type{};
  std::uint64_t session = 0;  // its index in this store; 0: none
  Seq first{};                // of frames, skipped and file
  std::uint32_t count = 0;    // of them: numbers
  ByteView body{};
};

// Appends a record, padded to eight bytes. The checksum covers header and body; of frames the header, with a checksum
// over those that their sender made. `batch` marks it as belonging there.
void append_record(const Record& record, std::uint64_t batch, Bytes& out);

// What of a batch is compared with its checksums. Whoever reads it for the records between the runs leaves the frames
// to who needs them, and what was found intact is not computed again while it stays in memory.
enum class Check : std::uint8_t {
  everything,
  all_but_frames,  // a run is taken for intact where its record's header is: its body is not to be believed
  nothing,         // Pre: it checks
};

// Calls `each` for every intact record of a batch and `damaged` (with the record, if its header could be read) for
// every other one. Where a record's header is unreadable, the next intact one is looked for. Pre: `bytes` is the whole
// batch.
struct RecordVisitor {
  std::function<void(const Record&)> each;
  std::function<void(const std::optional<Record>&)> damaged;
};
void visit_records(const BatchHeader& header, ByteView bytes, const RecordVisitor& visitor,
                   Check check = Check::everything);

// Whether every frame of a run is intact and they are `count` of them.
bool frames_are_intact(ByteView frames, std::uint32_t count);
// Whether header, trailer and every record and frame check, as far as they are looked at.
bool batch_checks(const BatchHeader& header, ByteView bytes, Check check = Check::everything);
// Whether these bytes are the batch of this number, and it checks.
bool is_intact_batch(std::uint64_t number, ByteView bytes);

}  // namespace cproto
