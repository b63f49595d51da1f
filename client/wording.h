// How a stranger's bytes and ids are written for people, and sentences put together. Numbers and times:
// config/wording.h.
#pragma once

#include <string>
#include <string_view>

#include "config/wording.h"
#include "proto/bytes.h"

namespace cproto::client {

// Bytes of a stranger on a terminal: what is not printable ASCII becomes \xNN. At most `bytes_max` of them.
std::string printable(ByteView bytes, std::size_t bytes_max);
std::string printable(std::string_view text, std::size_t bytes_max = 1024);

// The first 8 digits of an id that is no secret.
std::string short_id(const Id128& id);

// `sentence`, then `more` behind a semicolon; behind a question mark, as a sentence of its own.
std::string with_clause(std::string_view sentence, std::string_view more);

}  // namespace cproto::client
