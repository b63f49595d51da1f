// What the messages of a load are.
#pragma once

#include <cstddef>

#include "proto/bytes.h"

namespace cproto::bench {

// Printable, always the same, and nothing that could be compressed away.
Bytes make_payload(std::size_t size);

}  // namespace cproto::bench
