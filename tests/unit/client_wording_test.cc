#include "client/wording.h"

#include <doctest/doctest.h>

using namespace cproto::client;

TEST_CASE("wording: foreign bytes cannot steer a terminal") {
  CHECK(printable("SSH-2.0-OpenSSH_9.2") == "SSH-2.0-OpenSSH_9.2");
  CHECK(printable(std::string_view("\x1b[31m\0\xff", 7)) == "\\x1b[31m\\x00\\xff");
  CHECK(printable("abcdef", 3) == "abc");
}

TEST_CASE("wording: what follows a question is a sentence of its own") {
  CHECK(with_clause("connection refused", "next try in 2 s") == "connection refused; next try in 2 s");
  CHECK(with_clause("is cprotod running?", "next try in 2 s") == "is cprotod running? Next try in 2 s");
  CHECK(with_clause("alone", "") == "alone");
}
