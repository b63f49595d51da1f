#include "client/file_reader.h"

#include <algorithm>
#include <cerrno>
#include <deque>
#include <utility>
#include <vector>

namespace cproto::client {

namespace {

constexpr std::size_t kChunkSize = 1u << 20;
constexpr std::size_t kChunksAhead = 3;

}  // namespace

// A piece of the file on its way to the loop.
struct FileReader::Chunk {
  Bytes bytes;
  std::size_t size = 0;
  std::size_t skip = 0;  // at its front: wanted by the digest alone
  std::size_t used = 0;
  std::uint64_t pieces = 0;  // of the file, whole, through the end of this chunk
  Digest chain{};
  int error = 0;
  bool is_short = false;
};

// What a job beside the loop works on. It may outlive the reader.
struct FileReader::State {
  FileReader* reader = nullptr;
  bool is_reading = false;
  std::shared_ptr<const OpenFile> file;
  std::uint64_t size = 0;
  std::uint64_t at = 0;      // to be read next
  std::uint64_t offset = 0;  // wanted from here
  FileDigest digest;
  Chunk reading;
  std::deque<Chunk> ready;
  std::vector<Bytes> spare;

  // Beside the loop.
  void read() {
    Chunk& chunk = reading;
    while (chunk.size < chunk.bytes.size()) {
      const std::ptrdiff_t got = file->read(std::span(chunk.bytes).subspan(chunk.size), at + chunk.size);
      if (got < 0) chunk.error = errno;
      chunk.is_short = got == 0;
      if (got <= 0) break;
      chunk.size += static_cast<std::size_t>(got);
    }
    digest.update(ByteView(chunk.bytes).first(chunk.size));
    chunk.pieces = digest.pieces();
    chunk.chain = digest.chain();
  }
};

void FileReader::start(std::shared_ptr<const OpenFile> file, std::uint64_t size, const Start& from) {
  state_ = std::make_shared<State>();
  state_->reader = this;
  state_->file = std::move(file);
  state_->size = size;
  state_->at = from.pieces * kPieceSize;
  state_->offset = from.offset;
  state_->digest = FileDigest(from.pieces, from.chain);
  error_ = 0;
  offset_ = from.offset;
  pieces_ = from.pieces;
  chain_ = from.chain;
  read_ahead();
}

void FileReader::stop() {
  if (state_) state_->reader = nullptr;
  state_.reset();
}

void FileReader::read_ahead() {
  State& state = *state_;
  if (state.is_reading || state.at >= state.size || state.ready.size() >= kChunksAhead || error_ != 0) return;
  Chunk& chunk = state.reading = Chunk{};
  if (!state.spare.empty()) {
    chunk.bytes = std::move(state.spare.back());
    state.spare.pop_back();
  }
  // Never beyond a piece's end: so its chain is known where the piece is.
  const std::uint64_t piece_end = (state.at / kPieceSize + 1) * kPieceSize;
  chunk.bytes.resize(std::min({std::uint64_t{kChunkSize}, state.size - state.at, piece_end - state.at}));
  state.is_reading = true;
  machine_.run_aside([state = state_] { state->read(); },
                     [state = state_] {
                       state->is_reading = false;
                       if (state->reader != nullptr) state->reader->on_read(state->reading);
                     });
}

void FileReader::on_read(Chunk& chunk) {
  State& state = *state_;
  if (state.offset > state.at) chunk.skip = std::min<std::uint64_t>(state.offset - state.at, chunk.size);
  chunk.used = chunk.skip;
  state.at += chunk.size;
  const bool is_wanted = chunk.used < chunk.size || chunk.error != 0 || chunk.is_short;
  if (is_wanted) state.ready.push_back(std::move(chunk));
  read_ahead();
  const std::function<void()> wake = wake_;
  if (is_wanted || state.at >= state.size) wake();
}

FileReader::Got FileReader::next() {
  State& state = *state_;
  if (state.ready.empty()) return state.at >= state.size && !state.is_reading ? Got::end : Got::wait;
  const Chunk& chunk = state.ready.front();
  if (chunk.used < chunk.size) return Got::some;
  error_ = chunk.error;
  return Got::failed;
}

ByteView FileReader::data() const {
  const Chunk& chunk = state_->ready.front();
  return ByteView(chunk.bytes).subspan(chunk.used, chunk.size - chunk.used);
}

void FileReader::consume(std::size_t bytes) {
  State& state = *state_;
  Chunk& chunk = state.ready.front();
  chunk.used += bytes;
  offset_ += bytes;
  if (chunk.used < chunk.size) return;
  pieces_ = chunk.pieces;
  chain_ = chunk.chain;
  if (chunk.error != 0 || chunk.is_short) return;
  state.spare.push_back(std::move(chunk.bytes));
  state.ready.pop_front();
  read_ahead();
}

Digest FileReader::digest() const { return state_->digest.value(); }

}  // namespace cproto::client
