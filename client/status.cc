#include "client/status.h"

#include <algorithm>

namespace cproto::client {

namespace {

constexpr std::array kPrecedence = {Status::software,    Status::os_error, Status::no_permission, Status::protocol,
                                    Status::data_error,  Status::no_input, Status::io_error,      Status::temp_fail,
                                    Status::unavailable, Status::no_host,  Status::usage};

auto rank(Status status) { return std::find(kPrecedence.begin(), kPrecedence.end(), status); }

}  // namespace

void Causes::add(Status status) {
  if (status == Status::ok || std::find(causes_.begin(), causes_.end(), status) != causes_.end()) return;
  causes_.push_back(status);
  std::sort(causes_.begin(), causes_.end(), [](Status a, Status b) { return rank(a) < rank(b); });
}

Status Causes::status() const { return causes_.empty() ? Status::ok : causes_.front(); }

}  // namespace cproto::client
