// How ids are written for people, and sentences put together. Numbers, times, a stranger's text: config/wording.h.
#pragma once

#include <string>
#include <string_view>

#include "config/wording.h"
#include "proto/bytes.h"

namespace cproto::client {

// The first 8 digits of an id that is no secret.
std::string short_id(const Id128& id);

// `sentence`, then `more` behind a semicolon; behind a question mark, as a sentence of its own.
std::string with_clause(std::string_view sentence, std::string_view more);

}  // namespace cproto::client
