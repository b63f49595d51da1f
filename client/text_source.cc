#include "client/text_source.h"

namespace cproto::client {

Piece TextSource::peek(std::size_t) {
  if (index_ == texts_.size()) return {};
  return {Piece::Kind::part, as_bytes(texts_[index_]).subspan(taken_), true, {}};
}

void TextSource::take(std::size_t bytes, bool is_complete) {
  taken_ += bytes;
  if (is_complete) skip();
}

void TextSource::skip() {
  taken_ = 0;
  ++index_;
}

}  // namespace cproto::client
