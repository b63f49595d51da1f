#include "client/binary_source.h"

#include <algorithm>

namespace cproto::client {

Piece BinarySource::peek(std::size_t packet_size) {
  if (is_stopped_ || index_ == paths_.size()) return {};
  gave_last_ = false;
  const std::string& path = paths_[index_];
  if (!input_->is_open()) {
    if (const int error = input_->open(path)) return {Piece::Kind::broken, {}, false, cannot_read(path, error, false)};
  }
  while (true) {
    const ByteView data = input_->data();
    if (data.size() >= packet_size)
      return {Piece::Kind::part, data.first(data.size() / packet_size * packet_size), false, {}};
    switch (input_->fill()) {
      case ByteInput::Got::some: break;
      case ByteInput::Got::wait: return {Piece::Kind::wait, {}, false, {}};
      case ByteInput::Got::boundary:  // a file has none
      case ByteInput::Got::end: gave_last_ = true; return {Piece::Kind::part, input_->data(), true, {}};
      case ByteInput::Got::failed: return {Piece::Kind::broken, {}, false, cannot_read(path, input_->error(), true)};
    }
  }
}

void BinarySource::take(std::size_t bytes, bool is_complete) {
  input_->consume(bytes);
  if (is_complete && gave_last_) skip();
}

void BinarySource::skip() {
  input_->close();
  ++index_;
}

std::string BinarySource::name(std::uint64_t number) const {
  if (number > paths_.size()) return "a file";  // no server that is right speaks of it
  const std::string& path = paths_[number - 1];
  return path == "-" ? "standard input" : printable(path);
}

bool BinarySource::is_lost_by_giving_up() const { return std::count(paths_.begin(), paths_.end(), "-") > 0; }

}  // namespace cproto::client
