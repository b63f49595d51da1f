// A journal built byte by byte, as some life of a store might have left it: batches with the numbers, places and links
// a test wants, in segments that need not be true. What is not set by hand is what the daemon would have written.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "daemon/batch.h"
#include "daemon/records.h"
#include "proto/bytes.h"
#include "tests/support/memory_disk.h"

namespace cproto::test {

class JournalBytes {
 public:
  // Segments of so many blocks; the first has index 1.
  explicit JournalBytes(std::uint32_t blocks = 32) : blocks_(blocks) {}

  // --- records of the batch being built ---
  JournalBytes& record(const Record& record);
  JournalBytes& session(std::uint64_t index, const std::string& channel = "messages", std::uint64_t through = 0);
  JournalBytes& message(std::uint64_t session, std::uint64_t number, std::string_view text);
  // A message that fills so many bytes: text, then dots.
  JournalBytes& large_message(std::uint64_t session, std::uint64_t number, std::string text, std::size_t size);
  JournalBytes& forget(std::uint64_t session);

  // Puts the batch where `segment` and `offset` say, links it to the last one, and moves behind it.
  BatchHeader write();
  // The next batch begins this segment; what is in it stays.
  void begin_segment(std::uint32_t index);
  // As a batch of this life that was written and never synced: the next one does not link to it.
  BatchHeader write_unsynced();

  // --- of the next batch ---
  StoreId store = kStore;
  std::uint64_t secret = kSecret;
  std::uint64_t number = 1;
  std::uint32_t segment = 1;
  std::uint32_t offset = kBlockSize;
  std::uint64_t previous = 0;
  std::uint32_t previous_checksum = 0;
  std::uint64_t tail = 1;

  Bytes& bytes_of(std::uint32_t index);
  // The bytes of one batch, for a test to spoil.
  std::span<std::uint8_t> batch(const BatchHeader& header);
  // The file "store" and the segments, durable, in /store.
  void save(MemoryDisk& disk);

  static constexpr StoreId kStore{0x70};
  static constexpr std::uint64_t kSecret = 0x5ec4e7;
  static SessionId id_of_session(std::uint64_t index);
  static std::string path_of(std::uint32_t index);

 private:
  std::uint32_t blocks_;
  Bytes records_;
  std::map<std::uint32_t, Bytes> segments_;
};

}  // namespace cproto::test
