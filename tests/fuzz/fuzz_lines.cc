// However the bytes of a log arrive, the same lines leave, and put together again they are those bytes; and whatever an
// entry of the journal holds, it leaves as one line.
#include <memory>
#include <string>
#include <vector>

#include "client/journal_line.h"
#include "client/line_source.h"
#include "proto/assert.h"
#include "tests/fuzz/script.h"

using namespace cproto;
using namespace cproto::client;

namespace {

// Gives its bytes in the pieces they were cut into.
class CutInput final : public ByteInput {
 public:
  CutInput(ByteView bytes, std::uint8_t cut_seed) {
    fuzz::in_pieces(bytes, cut_seed, [&](ByteView piece) { pieces_.emplace_back(piece.begin(), piece.end()); });
  }
  Got fill() override {
    if (next_ == pieces_.size()) return Got::end;
    Bytes rest(data_.begin() + static_cast<std::ptrdiff_t>(head_), data_.end());
    append(rest, pieces_[next_++]);
    data_ = std::move(rest);  // an exact allocation: reading past it is found
    head_ = 0;
    return Got::some;
  }
  int error() const override { return 0; }
  ByteView data() const override { return ByteView(data_).subspan(head_); }
  void consume(std::size_t bytes) override {
    CPROTO_ASSERT(bytes <= data_.size() - head_);
    head_ += bytes;
  }
  bool is_stream() const override { return false; }
  bool has_writer() const override { return false; }

 private:
  std::vector<Bytes> pieces_;
  std::size_t next_ = 0;
  Bytes data_;
  std::size_t head_ = 0;
};

std::vector<std::string> lines_of(ByteView bytes, std::uint8_t cut_seed, std::size_t packet_size, bool takes_all) {
  LineSource source("log", std::make_unique<CutInput>(bytes, cut_seed));
  std::vector<std::string> lines;
  std::string line;
  for (Piece piece = source.peek(packet_size); piece.kind != Piece::Kind::end; piece = source.peek(packet_size)) {
    CPROTO_ASSERT(piece.kind == Piece::Kind::part);
    CPROTO_ASSERT(piece.is_last || (piece.bytes.size() > 0 && piece.bytes.size() % packet_size == 0));
    // A packet at a time, or all that is offered.
    const std::size_t taken = takes_all ? piece.bytes.size() : std::min(piece.bytes.size(), packet_size);
    const bool is_complete = taken == piece.bytes.size();
    line += as_text(piece.bytes.first(taken));
    source.take(taken, is_complete);
    if (is_complete && piece.is_last) lines.push_back(std::exchange(line, {}));
  }
  CPROTO_ASSERT(line.empty());
  return lines;
}

void check_lines(ByteView bytes, std::uint8_t how) {
  const std::size_t packet_size = 64u << how % 3;
  const std::vector<std::string> whole = lines_of(bytes, 0, packet_size, true);
  CPROTO_ASSERT(lines_of(bytes, how | 1, packet_size, how % 2 == 0) == whole);
  std::string joined;
  for (const std::string& line : whole) {
    CPROTO_ASSERT(line.find('\n') == std::string::npos);
    joined += line + "\n";
  }
  if (!bytes.empty() && bytes.back() != '\n') joined.pop_back();
  CPROTO_ASSERT(joined == as_text(bytes));
}

void check_entry(ByteReader& input) {
  if (input.empty()) return;  // an entry has fields
  JournalLine entry;
  while (!input.empty()) {
    const std::string name = {'F', static_cast<char>('A' + input.u8() % 4)};
    const auto value = as_text(input.bytes(std::min<std::size_t>(input.u8(), input.rest().size())));
    entry.add(name, value);
    const bool has_control = value.find_first_of(std::string_view("\0\x1b\x7f", 3)) != std::string_view::npos;
    CPROTO_ASSERT(!is_journal_text(value) || !has_control);
  }
  std::string line;
  entry.take(line);
  CPROTO_ASSERT(line.front() == '{' && line.back() == '}' && line.find('\n') == std::string::npos);
  CPROTO_ASSERT(is_journal_text(line));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteReader input({data, size});
  const std::uint8_t how = input.u8();
  check_lines(input.rest(), how);
  check_entry(input);
  return 0;
}
