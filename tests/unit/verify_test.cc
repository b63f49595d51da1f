#include "daemon/verify.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <string>

#include "tests/support/store_end.h"

using namespace cproto;
using namespace cproto::test;

namespace {

// A store with some batches in it, closed in order.
struct Left {
  Left() {
    REQUIRE(end.open().empty());
    {
      SessionEnd session(end);
      REQUIRE(session.connect().empty());
      for (const char* message : {"one", "two", "three"}) {
        session.send(message);
        end.sync();
      }
    }
    end.rest();
    end.close();
  }
  Verification look() { return verify_store(end.disk, end.options.directory); }

  StoreEnd end;
};

}  // namespace

TEST_CASE("verify: a store that was left in order is whole") {
  Left left;
  const Verification found = left.look();
  CHECK(found.is_whole());
  CHECK(found.batches >= 3);
  CHECK(found.records > 3);
  CHECK(found.sessions == 1);
  CHECK(found.torn_batches == 0);
}

TEST_CASE("verify: looking only reads, and may be done again") {
  Left left;
  left.end.disk.fault = [](const FileOp& op, const std::string&) {
    using Kind = FileOp::Kind;
    const bool is_reading = op.kind == Kind::open_to_read || op.kind == Kind::read || op.kind == Kind::list ||
                            op.kind == Kind::status || op.kind == Kind::status_of_path || op.kind == Kind::close;
    return is_reading ? 0 : EROFS;
  };
  CHECK(left.look().is_whole());
  CHECK(left.look().is_whole());
  CHECK(left.end.disk.open_files() == 0);
  left.end.disk.fault = {};
  CHECK(left.end.open().empty());
}

TEST_CASE("verify: a flipped bit in a batch that was synced is damage, and named") {
  Left left;
  for (const std::string& segment : left.end.segments())
    left.end.disk.flip(segment, kBlockSize + kBatchHeaderSize + 20);
  const Verification found = left.look();
  CHECK_FALSE(found.is_whole());
  CHECK_FALSE(found.damage.empty());
}

TEST_CASE("verify: where no store is, it says so") {
  StoreEnd end;
  const Verification found = verify_store(end.disk, "/nowhere");
  REQUIRE(found.problem);
  CHECK(found.problem->sentence == "/nowhere is no store: it has no file \"store\"");
}
