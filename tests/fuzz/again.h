// Read, written and read again: what a decoder accepts is the same behind an encoder.
#pragma once

#include <optional>
#include <variant>

#include "proto/assert.h"
#include "proto/bytes.h"
#include "proto/error.h"

namespace cproto::fuzz {

template <class T>
const T* value_of(const std::optional<T>& decoded) {
  return decoded ? &*decoded : nullptr;
}
template <class T>
const T* value_of(const std::variant<T, Error>& decoded) {
  return std::get_if<T>(&decoded);
}

template <class Decode, class Encode>
void check_again(ByteView input, Decode decode, Encode encode) {
  const auto first = decode(input);
  const auto* value = value_of(first);
  if (value == nullptr) return;
  Bytes once;
  encode(*value, once);
  const auto second = decode(ByteView(once));
  CPROTO_ASSERT(value_of(second) != nullptr);
  Bytes twice;
  encode(*value_of(second), twice);
  CPROTO_ASSERT(once == twice);
}

}  // namespace cproto::fuzz
