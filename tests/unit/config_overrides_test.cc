#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "config/loader.h"

namespace cproto {
namespace {

using Lines = std::vector<std::string>;

TEST_CASE("config: flags win over the file") {
  Overrides flags;
  flags.directory = "/tmp/store";
  flags.host = "::1";
  flags.port = "0";
  flags.max_size = "1KiB";
  const LoadResult result = load_text(
      "[listen]\nhost = \"127.0.0.1\"\nport = 1\ninsecure = true\n[store]\ndirectory = \"/x\"\n", "c.toml", flags);
  CHECK(result.errors == Lines{});
  CHECK(result.config.listen.host == Lines{"::1"});
  CHECK(result.config.listen.port == 0);
  CHECK(result.config.listen.insecure);
  CHECK(result.config.store.directory == "/tmp/store");
  CHECK(result.config.session.max_packet_size == 1'024);
}

TEST_CASE("config: a wrong flag is named, behind the errors of the file") {
  Overrides flags;
  flags.port = "70000";
  flags.max_size = "2MiB";
  CHECK(load_text("[listen]\nprot = 1\n", "c.toml", flags).errors ==
        Lines{R"(c.toml:2:1: listen.prot: unknown key; did you mean "port"?)",
              "--port 70000: must be a number from 0 to 65535", "--max-size 2MiB: must be a size from 64B to 1MiB"});
}

TEST_CASE("config: flags are checked without a file too") {
  Overrides flags;
  flags.directory = "";
  CHECK(load_if_present("/nonexistent/c.toml", flags).errors ==
        Lines{"--directory : must be text of 1 to 4095 bytes, without control characters"});
}

TEST_CASE("config: a flag that opens the daemon to other hosts is named") {
  Overrides flags;
  flags.host = "*";
  CHECK(load_text("", "c.toml", flags).errors ==
        Lines{"--host *: other hosts could send without encryption; set up [tls] (cprotoctl key add NAME), or say "
              "insecure = true"});
  CHECK(load_text("[listen]\ninsecure = true\n", "c.toml", flags).errors == Lines{});
}

TEST_CASE("config: a flag that closes what the file opens is no error") {
  Overrides flags;
  flags.host = "127.0.0.1";
  CHECK(load_text("[listen]\nhost = \"*\"\n", "c.toml", flags).errors == Lines{});
}

TEST_CASE("config: a flag in conflict with the file is told where the key concerned was set") {
  Overrides flags;
  flags.max_size = "1MiB";
  CHECK(load_text("[store]\nsegment_size = \"2MiB\"\n", "c.toml", flags).errors ==
        Lines{"--max-size 1MiB: must be at most a quarter of store.segment_size = \"2MiB\""});
  CHECK(load_text("[session]\nwindow_bytes = \"512KiB\"\n", "c.toml", flags).errors ==
        Lines{"c.toml:2:16: session.window_bytes = \"512KiB\": must be at least session.max_packet_size = \"1MiB\""});
}

TEST_CASE("config: a right flag does not hide a wrong value in the file") {
  Overrides flags;
  flags.host = "*";
  const Lines errors = load_text("[listen]\nhost = \"logs\"\n", "c.toml", flags).errors;
  REQUIRE(errors.size() == 2);
  CHECK(errors[0].starts_with("c.toml:2:8: listen.host = \"logs\""));
  CHECK(errors[1].starts_with("--host *: other hosts"));
}

}  // namespace
}  // namespace cproto
