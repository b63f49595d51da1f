#include "config/schema.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "config/conflicts.h"
#include "config/nearest.h"
#include "proto/options.h"

namespace cproto::config {
namespace {

const Domain& domain_of(std::string_view section, std::string_view name) {
  const Key* const key = find_key(section, name);
  REQUIRE(key != nullptr);
  return key->domain;
}

TEST_CASE("config: every key is there once and belongs to a section") {
  std::set<std::string> paths;
  for (const Key& key : keys()) {
    CAPTURE(key.path());
    CHECK(paths.insert(key.path()).second);
    CHECK(std::any_of(sections().begin(), sections().end(), [&](const Section& s) { return s.name == key.section; }));
    CHECK(find_key(key.section, key.name) == &key);
  }
  CHECK(find_key("listen", "directory") == nullptr);
}

TEST_CASE("config: the defaults neither conflict nor raise doubts") {
  CHECK(conflicts(Config{}).empty());
  CHECK(doubts(Config{}).empty());
}

TEST_CASE("config: what a key sets is what it gets, and nothing else changes") {
  for (const Key& key : keys()) {
    CAPTURE(key.path());
    Config config;
    key.set(config, key.get(config));
    CHECK(config == Config{});
  }
}

TEST_CASE("config: bounds are those of the protocol") {
  CHECK(domain_of("session", "max_packet_size").min == kPacketSizeMin);
  CHECK(domain_of("session", "max_packet_size").max == kPacketSizeMax);
  CHECK(domain_of("session", "window_size").min == 1);
  CHECK(domain_of("session", "window_size").max == kWindowMax);
  CHECK(domain_of("listen", "port").max == 65'535);
}

TEST_CASE("config: a key without a line of its own has one above it that speaks for it") {
  const Key* previous = nullptr;
  for (const Key& key : keys()) {
    CAPTURE(key.path());
    if (key.doc.empty()) {
      REQUIRE(previous != nullptr);
      CHECK(key.section == previous->section);
      CHECK(key.change == previous->change);
    }
    previous = &key;
  }
}

TEST_CASE("config: a reload names the keys that it cannot change") {
  Config next;
  next.listen.port = 1;
  next.store.segment_size *= 2;
  next.log.level = LogLevel::debug;
  next.session.keep_alive *= 2;
  CHECK(keys_needing_restart(Config{}, next) == std::vector<std::string>{"listen.port", "store.segment_size"});
  CHECK(keys_needing_restart(next, next).empty());
}

TEST_CASE("config: the nearest word forgives a slip but does not guess") {
  const std::vector<std::string_view> words = {"host", "port", "insecure"};
  CHECK(nearest("prot", words) == "port");
  CHECK(nearest("hots", words) == "host");
  CHECK(nearest("ports", words) == "port");
  CHECK(nearest("insekure", words) == "insecure");
  CHECK(nearest("unsecured", words) == "insecure");
  CHECK(nearest("colour", words).empty());
  CHECK(nearest("", words).empty());
  CHECK(nearest(std::string(1'000'000, 'x'), words).empty());
}

}  // namespace
}  // namespace cproto::config
