#include "client/file_input.h"

#include <cerrno>

#include "client/log_place.h"

namespace cproto::client {

Bytes FileInput::place() const {
  LogPlace place{file_.place(), {}, {}};
  place.offset -= data().size();
  Bytes bytes;
  ByteWriter writer(bytes);
  put_place(writer, place);
  return bytes;
}

int FileInput::knows(ByteView bytes, bool& is_known) const {
  ByteReader reader(bytes);
  const LogPlace place = get_place(reader);
  is_known = !reader.failed() && is_same(file_.facts(), place) && file_.fits(place);
  return is_known ? 0 : files_.trouble();
}

int FileInput::resume(ByteView bytes, std::uint64_t behind) {
  ByteReader reader(bytes);
  const LogPlace place = get_place(reader);
  if (reader.failed()) return EINVAL;
  file_.advance(place.offset + behind);  // its name may be another's by now
  return 0;
}

FileInput::Got FileInput::fill() {
  const std::ptrdiff_t got = file_.read(buffer_.room());
  if (got < 0) {
    error_ = errno;
    return Got::failed;
  }
  if (got == 0) return Got::end;
  file_.advance(static_cast<std::size_t>(got));
  buffer_.add(static_cast<std::size_t>(got));
  return Got::some;
}

}  // namespace cproto::client
