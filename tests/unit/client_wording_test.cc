#include "client/wording.h"

#include <doctest/doctest.h>

using namespace cproto::client;

TEST_CASE("wording: what follows a question is a sentence of its own") {
  CHECK(with_clause("connection refused", "next try in 2 s") == "connection refused; next try in 2 s");
  CHECK(with_clause("is cprotod running?", "next try in 2 s") == "is cprotod running? Next try in 2 s");
  CHECK(with_clause("alone", "") == "alone");
}
