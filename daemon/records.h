// The bodies of the journal's records (STORE.md §4).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/disk.h"
#include "proto/bytes.h"
#include "proto/handshake.h"
#include "proto/message.h"
#include "proto/receiver.h"

namespace cproto {

// STORE §4.3. Everything a session is, as of this record.
struct SessionRecord {
  SessionId id{};
  std::string client_id;
  std::string channel;
  std::string identity;  // who it was authenticated as; empty for now
  MessageKind kind = MessageKind::text;
  std::uint64_t attempt = 0;
  std::uint32_t max_packet_size = 0;
  Duration last_there{0};  // its client, in running time of the store
  Position position;
  std::vector<Refusal> refusals;  // not yet shown to be known
};
void encode_session(const SessionRecord& record, Bytes& out);
std::optional<SessionRecord> decode_session(ByteView body);

// STORE §4.2. Numbers whose bytes were thrown away.
struct SkippedRecord {
  Position after;   // the session's, behind them
  Refusal refusal;  // set where the message was refused by one of them
};
void encode_skipped(const SkippedRecord& record, Bytes& out);
std::optional<SkippedRecord> decode_skipped(ByteView body);

// STORE §4.5. What has come of a message that is not whole. The bytes are in the record, or `part_bytes` of them in a
// part file.
struct PiecesRecord {
  Seq first;
  Seq through;
  MessageKind kind = MessageKind::text;
  std::string channel;
  std::uint32_t checksum = 0;  // CRC-32 of all its bytes so far
  std::uint64_t part_bytes = 0;
  ByteView bytes;  // of a decoded record: a view of its body
};
void encode_pieces(const PiecesRecord& record, Bytes& out);
std::optional<PiecesRecord> decode_pieces(ByteView body);

// STORE §4.8. How far a file has come. Its bytes are in its part and synced.
struct FileRecord {
  enum class State : std::uint8_t { goes_on = 0, whole = 1, dropped = 2 };
  Seq first;                     // number of its HEADER
  State state = State::goes_on;  // whole: its digest agrees; dropped: given up by its sender
  Position after;                // the session's, behind the numbers this record is for
  std::uint64_t bytes = 0;       // in the part
  Digest chain{};                // of the whole pieces among them (PROTOCOL §4.7)
  MessageHeader header;          // as it came, with the digest once that came
};
void encode_file(const FileRecord& record, Bytes& out);
std::optional<FileRecord> decode_file(ByteView body);
// The part of a file: `first` is the number of its HEADER.
std::string file_part_path(const std::string& parts, std::uint64_t session, Seq first);

// STORE §4.6. Delivery writes behind `length` of this file from here on.
struct LogRecord {
  std::uint64_t id = 0;  // also the name of the link that finds it again
  std::string client_id;
  std::string name;  // "<channel>.log" or "<channel>.bin"
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t length = 0;
  std::uint64_t from = 0;  // what batches before this one have for its name belongs to the file that had it before
};
void encode_log(const LogRecord& record, Bytes& out);
std::optional<LogRecord> decode_log(ByteView body);

// STORE §4.7. Everything of the batches up to `delivered` is in the inbox and synced: these logs have these lengths,
// and these parts these bytes.
struct CheckpointRecord {
  struct Part {
    std::uint64_t session = 0;
    PiecesRecord pieces;
  };
  std::uint64_t delivered = 0;
  Duration running_time{0};  // for how long daemons have run with this store, in all
  std::uint64_t next_log_id = 1;
  std::vector<LogRecord> logs;
  std::vector<Part> parts;
  // Whole files that are not in the inbox yet.
  struct File {
    std::uint64_t session = 0;
    Seq first;
    std::string client_id;
    std::string name;
  };
  std::vector<File> files{};
  // What cannot be written to its log and was set aside.
  struct Aside {
    std::uint64_t id = 0;
    std::string client_id;
    std::string name;  // of the log
    std::uint64_t bytes = 0;
  };
  std::vector<Aside> asides{};
};
void encode_checkpoint(const CheckpointRecord& record, Bytes& out);
std::optional<CheckpointRecord> decode_checkpoint(ByteView body);

}  // namespace cproto
