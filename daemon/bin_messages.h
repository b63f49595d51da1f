// The messages in a .bin of the inbox (USER.md, "The inbox"): u32 length, u32 CRC-32 and the bytes of each, big-endian.
#pragma once

#include <cstdint>
#include <functional>
#include <istream>
#include <string>

#include "proto/bytes.h"

namespace cproto {

// Calls `each` with every message whose checksum agrees, in order; a view lives for the length of the call. `trouble`
// is told, with the place, of every other: one with a wrong checksum is passed over by its length, at one that is cut
// short it ends. Returns whether all were whole.
bool read_bin_messages(std::istream& in, const std::function<void(ByteView)>& each,
                       const std::function<void(const std::string&)>& trouble);

}  // namespace cproto
