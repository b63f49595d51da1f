#include "proto/frame_store.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

using namespace cproto;

namespace {

std::uint8_t* add(FrameStore& store, std::size_t bytes, std::uint8_t value) {
  std::uint8_t* frame = store.add(bytes);
  std::fill_n(frame, bytes, value);
  return frame;
}

Bytes all_of(const FrameStore& store) {
  Bytes out;
  store.copy(store.begin(), store.end(), out);
  return out;
}

}  // namespace

TEST_CASE("frame store: frames are copied out in one piece, however many chunks they lie in") {
  FrameStore store;
  Bytes expected;
  for (int i = 0; i < 1000; ++i) {
    const auto value = static_cast<std::uint8_t>(i);
    const std::size_t bytes = 1 + static_cast<std::size_t>(i * 7919 % 3000);
    add(store, bytes, value);
    expected.insert(expected.end(), bytes, value);
  }
  CHECK(all_of(store) == expected);
  CHECK(store.size() == expected.size());
  Bytes part;
  store.copy(3001, 700'001, part);
  CHECK(std::equal(part.begin(), part.end(), expected.begin() + 3001, expected.begin() + 700'001));
}

TEST_CASE("frame store: a frame stays where it is until it is forgotten") {
  FrameStore store;
  const std::uint8_t* first = add(store, 100, 1);
  for (int i = 0; i < 100; ++i) add(store, 60'000, 2);
  CHECK(store.frame(0, 100).data() == first);
  CHECK(*first == 1);
  store.forget_before(100);
  CHECK(store.frame(100, 60'000)[0] == 2);
  CHECK(store.begin() == 100);
}

TEST_CASE("frame store: chunks whose frames are forgotten take the next ones") {
  FrameStore store;
  std::vector<const std::uint8_t*> seen;
  for (int i = 0; i < 1000; ++i) {
    seen.push_back(add(store, 100'000, 3));
    if (i >= 4) store.forget_before(store.end() - 4 * 100'000);
  }
  std::sort(seen.begin(), seen.end());
  const auto places = std::unique(seen.begin(), seen.end()) - seen.begin();
  CHECK(places <= 10);
}

TEST_CASE("frame store: a frame larger than a chunk has one of its own") {
  FrameStore store;
  add(store, 10, 1);
  add(store, 5u << 20, 2);
  add(store, 10, 3);
  CHECK(store.frame(10, 5u << 20)[(5u << 20) - 1] == 2);
  CHECK(all_of(store).back() == 3);
}

TEST_CASE("frame store: it begins wherever the session stands") {
  FrameStore store;
  add(store, 10, 1);
  store.forget_before(10);
  store.start_at(1'000'000);
  add(store, 10, 4);
  CHECK(store.begin() == 1'000'000);
  CHECK(store.frame(1'000'000, 10)[0] == 4);
  CHECK(all_of(store).size() == 10);
}
