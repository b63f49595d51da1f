// What is remembered of a transfer between two runs of the command: its session, and bookmarks of its source. One file
// each, locked while a run has it.
//
//   at       slot 0 and slot 1, 64 KiB each; the intact one with the higher generation counts. What was synced last is
//            not written over before the other slot was synced
//   +0       magic "CPROTTS1", u64 generation, u32 bytes of what follows, u32 CRC-32 of the 20 bytes before and of
//   it +24      the transfer
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "client/files.h"
#include "client/source.h"
#include "proto/handshake.h"

namespace cproto::client {

struct SavedTransfer {
  std::optional<Syn::Resume> session;  // none: no server was reached yet
  std::uint64_t attempt = 0;
  Seq refusals_heard;
  std::string client_id;  // as the server knows it
  std::deque<Bookmark> bookmarks;
  std::vector<Problem> problems;  // inputs that could not be sent
};

Bytes encode(const SavedTransfer& transfer);
std::optional<SavedTransfer> decode_saved_transfer(ByteView bytes);

class TransferState {
 public:
  explicit TransferState(Files& files) : files_(files) {}
  TransferState(const TransferState&) = delete;
  TransferState& operator=(const TransferState&) = delete;

  // Opens, makes and locks the entry of this name in `directory`, which is made, too. Returns 0 or errno; EWOULDBLOCK:
  // another run has it, holder() says which. An entry that is there and cannot be written is_open() all the same, to be
  // read.
  [[nodiscard]] int open(const std::string& directory, const std::string& name);
  bool is_open() const { return file_ != nullptr; }
  // Behind open(): the entry is there, open or not, or nobody can say. In a folder that is closed to us there is none
  // of ours.
  bool is_there() const;
  pid_t holder() const { return holder_; }
  // What an earlier run left; stays empty if there was none, or it is damaged. Returns 0 or errno: what there is cannot
  // be read.
  [[nodiscard]] int load(std::optional<SavedTransfer>& saved);
  // What was loaded is there behind a power cut, too. Returns 0 or errno.
  [[nodiscard]] int keep();
  // `must_last`: also through a power cut. Returns 0 or errno.
  int save(const SavedTransfer& transfer, bool must_last);
  // The transfer is over; a power cut does not bring it back. Returns 0 or errno; then it is still there, and
  // is_open(), or it is gone, and a power cut may bring it back.
  [[nodiscard]] int remove();
  // Nothing is saved any more; what is there stays.
  void close() { file_.reset(); }

 private:
  int sync_name();

  Files& files_;
  std::string path_;
  std::unique_ptr<OpenFile> file_;
  pid_t holder_ = 0;
  int refusal_ = 0;  // errno: it can only be read
  bool is_name_synced_ = false;
  std::uint64_t generation_ = 0;
  std::size_t synced_slot_ = 0;
  Bytes loaded_;  // the slot that was, until it is certain to last
};

}  // namespace cproto::client
