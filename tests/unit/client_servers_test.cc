#include "client/servers.h"

#include <doctest/doctest.h>

using namespace cproto;
using namespace cproto::client;

namespace {

Servers two_servers() { return Servers({{"a", 1}, {"b", 2}}, Random(1)); }

}  // namespace

TEST_CASE("servers: while nothing is acknowledged they are tried in turn, and the pause comes after a round") {
  Servers servers = two_servers();
  const Instant now{};
  CHECK(servers.current().host == "a");
  CHECK(servers.on_failure(now, true, 0ms) == 0ns);
  CHECK(servers.current().host == "b");
  CHECK(servers.on_failure(now, true, 0ms) > 0ns);
  CHECK(servers.current().host == "a");
}

TEST_CASE("servers: once something is acknowledged the session stays where it is") {
  Servers servers = two_servers();
  servers.on_durable();
  CHECK(servers.on_failure(Instant{}, false, 0ms) > 0ns);
  CHECK(servers.current().host == "a");
}

TEST_CASE("servers: a server is left alone for as long as it asked") {
  Servers servers = two_servers();
  const Instant now{};
  CHECK(servers.on_failure(now, true, 10s) == 0ns);      // b did not ask
  CHECK(servers.on_failure(now + 2s, true, 0ms) >= 8s);  // back to a
  CHECK(servers.on_failure(now + 20s, false, 3s) >= 3s);
}

TEST_CASE("servers: an address that is not what it should be makes room for the next of the name") {
  Servers servers = two_servers();
  CHECK(servers.rotation() == 0);
  servers.rotate();
  CHECK(servers.rotation() == 1);
}
