#include "client/status.h"

#include <doctest/doctest.h>

using namespace cproto::client;

TEST_CASE("status: nothing wrong is 0") { CHECK(Causes().status() == Status::ok); }

TEST_CASE("status: of several causes the first of 77, 76, 65, 66, 74, 75, 69 counts, and all are kept") {
  const Status order[] = {Status::no_permission, Status::protocol,  Status::data_error, Status::no_input,
                          Status::io_error,      Status::temp_fail, Status::unavailable};
  Causes causes;
  for (std::size_t i = std::size(order); i-- > 0;) {
    causes.add(order[i]);
    causes.add(order[i]);
    CHECK(causes.status() == order[i]);
  }
  CHECK(causes.all() == std::vector<Status>(std::begin(order), std::end(order)));
}
