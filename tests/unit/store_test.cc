// The store on a disk that can lose, tear and refuse: what was acknowledged is there, exactly once.
#include "daemon/store.h"

#include <doctest/doctest.h>

#include "tests/support/store_end.h"

using namespace cproto;
using namespace cproto::test;

TEST_CASE("store: a message is acknowledged when it is durable, and is in the inbox") {
  StoreEnd end;
  REQUIRE(end.open() == "");
  SessionEnd session(end);
  REQUIRE(session.connect() == "");
  session.send("hello");
  CHECK(session.acknowledged == Seq{0});
  end.sync();
  CHECK(session.acknowledged == Seq{1});
  end.run(10ms);
  CHECK(end.log_text() == "hello\n");
}

TEST_CASE("store: what was acknowledged is there after kill -9, once") {
  StoreEnd end;
  REQUIRE(end.open() == "");
  SessionEnd session(end);
  REQUIRE(session.connect() == "");
  session.send("hello");
  end.sync();
  session.lose_server();
  end.kill();
  REQUIRE(end.open() == "");
  end.run(2s);
  CHECK(end.log_text() == "hello\n");
  REQUIRE(session.connect() == "");
  CHECK(session.acknowledged == Seq{1});
}
