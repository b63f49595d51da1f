#include "config/credentials.h"

#include <doctest/doctest.h>

#include <cstdlib>

using namespace cproto;

TEST_CASE("config: the default's key file may be absent, and one that is named has to be there") {
  CHECK_FALSE(has_tls({.keys = ""}));
  CHECK(has_tls({.keys = "/nowhere/keys"}));
  CHECK(has_tls({.keys = "", .certificate = "/nowhere/logs.pem"}));
}

TEST_CASE("config: a credential without a slash is the service manager's") {
  setenv("CREDENTIALS_DIRECTORY", "/run/credentials/cprotod.service", 1);
  CHECK(credential_path("keys") == "/run/credentials/cprotod.service/keys");
  CHECK(credential_path("/etc/cproto/keys") == "/etc/cproto/keys");
  unsetenv("CREDENTIALS_DIRECTORY");
  CHECK(credential_path("keys") == "keys");
}
