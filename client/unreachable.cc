#include "client/unreachable.h"

#include <uv.h>

#include <algorithm>

namespace cproto::client {

bool Unreachable::is_unknown_host() const { return lookup_error == UV_EAI_NONAME || lookup_error == UV_EAI_NODATA; }

bool Unreachable::is_shortage() const {
  const auto is_one = [](int error) {
    return error == UV_EMFILE || error == UV_ENFILE || error == UV_ENOMEM || error == UV_ENOBUFS ||
           error == UV_EAI_MEMORY;
  };
  if (is_one(lookup_error)) return true;
  return std::any_of(attempts.begin(), attempts.end(), [&](const Attempt& attempt) { return is_one(attempt.error); });
}

}  // namespace cproto::client
