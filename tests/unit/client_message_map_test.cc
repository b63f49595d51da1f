#include "client/message_map.h"

#include <doctest/doctest.h>

using namespace cproto;
using namespace cproto::client;

TEST_CASE("message map: messages of one frame take one entry however many they are") {
  MessageMap map;
  for (std::uint64_t i = 1; i <= 1000; ++i) map.note({i}, i);
  CHECK(map.size() == 1);
  CHECK(map.find({1}) == 1);
  CHECK(map.find({777}) == 777);
  CHECK_FALSE(map.find({0}).has_value());
}

TEST_CASE("message map: a longer message, and one never sent, shift what follows") {
  MessageMap map;
  map.note({1}, 1);
  map.note({2}, 2);  // five frames
  map.note({7}, 3);
  map.note({8}, 5);  // the fourth was refused here
  CHECK(map.find({2}) == 2);
  CHECK(map.find({7}) == 3);
  CHECK(map.find({8}) == 5);
  CHECK(map.find({9}) == 6);
}

TEST_CASE("message map: what is durable is forgotten, but not the message under way there") {
  MessageMap map;
  for (std::uint64_t i = 0; i < 1000; ++i) map.note({1 + 3 * i}, 1 + i);
  map.forget_through({3 * 900 + 2});
  CHECK(map.find({1 + 3 * 900}) == 901);
  CHECK(map.find({1 + 3 * 999}) == 1000);
  CHECK_FALSE(map.find({1}).has_value());
  CHECK(map.size() == 100);
}
