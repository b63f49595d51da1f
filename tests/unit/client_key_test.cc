#include "proto/client_key.h"

#include <doctest/doctest.h>

using namespace cproto;

namespace {

const std::string kDigits = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

}  // namespace

TEST_CASE("key file: a line is a name and a key, and is written as it was read") {
  const KeyFile file = read_key_file("# keys\n\nweb-1 " + kDigits + "\n");
  CHECK(file.trouble.empty());
  REQUIRE(file.keys.size() == 1);
  CHECK(file.keys[0].client_id == "web-1");
  CHECK(file.keys[0].line() == "web-1 " + kDigits);
}

TEST_CASE("key file: a client may have two keys, while one takes the place of the other") {
  std::string other = kDigits;
  other[0] = 'f';
  const KeyFile file = read_key_file("web-1 " + kDigits + "\nweb-1\t" + other);
  CHECK(file.trouble.empty());
  REQUIRE(file.keys.size() == 2);
  CHECK(file.keys[0].id != file.keys[1].id);
}

TEST_CASE("key file: the id of a key is known from its bytes alone, and is none of them") {
  const KeyFile file = read_key_file("web-1 " + kDigits);
  REQUIRE(file.keys.size() == 1);
  CHECK(file.keys[0].id == "45f89aa8dd987112");
}

TEST_CASE("key file: a mistake is said with its line, and without what is in it") {
  const auto trouble = [](const std::string& line) { return read_key_file("# first\n" + line + "\n").trouble; };
  CHECK(trouble("web-1") == "line 2: a line is a client's name, a space and 64 hexadecimal digits");
  CHECK(trouble("../etc " + kDigits) == "line 2: the name of a client is 1 to 64 of A-Z a-z 0-9 . _ -");
  for (const std::string& bad : {kDigits + "0", kDigits.substr(1), "g" + kDigits.substr(1), kDigits + " x"}) {
    CHECK(trouble("web-1 " + bad) == "line 2: the key is not 64 hexadecimal digits (0-9, a-f)");
    CHECK(read_key_file("web-1 " + bad).keys.empty());
  }
  CHECK(trouble("a " + kDigits + "\nb " + kDigits) == "line 3: the same key is there already");
}

TEST_CASE("secret: it is wiped where it was moved from") {
  Secret from(std::array<std::uint8_t, 32>{1, 2, 3});
  const Secret to(std::move(from));
  CHECK(to == Secret(std::array<std::uint8_t, 32>{1, 2, 3}));
  CHECK(from == Secret(std::array<std::uint8_t, 32>{}));  // NOLINT: that is the point
}
