#include "config/loader.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace cproto {
namespace {

using Lines = std::vector<std::string>;

Lines errors_of(const std::string& text) { return load_text(text, "c.toml").errors; }
Lines warnings_of(const std::string& text) { return load_text(text, "c.toml").warnings; }

TEST_CASE("config: an empty file means the defaults") {
  const LoadResult result = load_text("", "c.toml");
  CHECK(result.errors.empty());
  CHECK(result.warnings.empty());
  CHECK(result.config == Config{});
}

TEST_CASE("config: every kind of value is taken over") {
  const LoadResult result = load_text(R"(
[listen]
host = ["::1", "192.0.2.7"]
port = 0
insecure = true
[store]
segment_size = "1GiB"
[inbox]
group = "staff"
[session]
keep_alive = "250ms"
forget_session_after = 0
forget_unfinished_after = "0"
unknown = "restart"
[limits]
memory = 1048576
clients = 0
[log]
level = "debug"
)",
                                      "c.toml");
  CHECK(result.errors == Lines{});
  Config expected;
  expected.listen = {{"::1", "192.0.2.7"}, 0, true};
  expected.store.segment_size = 1u << 30;
  expected.inbox.group = "staff";
  expected.session.keep_alive = std::chrono::milliseconds(250);
  expected.session.forget_session_after = {};
  expected.session.forget_unfinished_after = {};
  expected.session.unknown = UnknownSession::restart;
  expected.limits.memory = 1u << 20;
  expected.limits.clients = 0;
  expected.log.level = LogLevel::debug;
  CHECK(result.config == expected);
}

TEST_CASE("config: an unknown key names the nearest one") {
  CHECK(errors_of("[listen]\nprot = 1\n") == Lines{R"(c.toml:2:1: listen.prot: unknown key; did you mean "port"?)"});
}

TEST_CASE("config: an unknown key that is near to none lists those there are") {
  CHECK(errors_of("[store]\ncolour = 1\n") ==
        Lines{R"(c.toml:2:1: store.colour: unknown key; there are "engine", "directory", "segment_size")"});
}

TEST_CASE("config: a key in the wrong section is sent to the right one") {
  CHECK(errors_of("[log]\nport = 1\n") == Lines{"c.toml:2:1: log.port: unknown key; it belongs in [listen]"});
  CHECK(errors_of("directory = \"/x\"\n") ==
        Lines{"c.toml:1:1: directory: unknown key; it belongs in [store] or [inbox]"});
  CHECK(errors_of("colour = 1\n") == Lines{"c.toml:1:1: colour: unknown key; every key belongs in a section"});
}

TEST_CASE("config: an unknown section names the nearest one, or all") {
  CHECK(errors_of("\n[sesion]\nx = 1\n") == Lines{"c.toml:2:2: [sesion]: unknown section; did you mean [session]?"});
  CHECK(errors_of("[ssh]\n") ==
        Lines{"c.toml:1:2: [ssh]: unknown section; there are [listen], [store], [jetstream], [inbox], "
              "[session], [limits], [tls], [log], [client.NAME]"});
  CHECK(errors_of("[[sesion]]\n") == Lines{"c.toml:1:3: [sesion]: unknown section; did you mean [session]?"});
}

TEST_CASE("config: a section must be a section") {
  CHECK(errors_of("log = \"debug\"\n") == Lines{"c.toml:1:1: log: must be a section, [log]"});
  CHECK(errors_of("[[log]]\n") == Lines{"c.toml:1:3: log: must be a section, [log]"});
}

TEST_CASE("config: a wrong value is named with its place and what is allowed") {
  CHECK(errors_of("[session]\n  window_size = 40000\n") ==
        Lines{"c.toml:2:17: session.window_size = 40000: must be a number from 1 to 32767"});
  CHECK(errors_of("[store]\nsegment_size = 1.5\n") ==
        Lines{"c.toml:2:16: store.segment_size = 1.5: must be a size from 1MiB to 4GiB"});
  CHECK(errors_of("[log]\nlevel = {a = 1}\n") ==
        Lines{R"(c.toml:2:9: log.level = {...}: must be "error", "warn", "info" or "debug")"});
}

TEST_CASE("config: a wrong item of a list is named where it stands") {
  CHECK(errors_of("[listen]\nhost = [\"::1\",\n  \"logs\"]\n") ==
        Lines{"c.toml:3:3: listen.host = \"logs\": must be an IP address (names are not looked up), \"localhost\", a "
              "list of these, or \"*\" for all"});
}

TEST_CASE("config: a message stays one line whatever the file contains") {
  const Lines errors = errors_of("\"a\\nb\" = 1\n[listen]\n\"c\\u001bd\" = 1\nhost = [\n1,\n\"\"\"x\ny\"\"\"\n]\n");
  CHECK(errors.size() == 3);
  for (const std::string& error : errors) {
    for (const char c : error) CHECK(static_cast<unsigned char>(c) >= 0x20);
  }
}

TEST_CASE("config: a syntax error is named with its place") {
  CHECK(errors_of("[listen]\nport 7780\n") ==
        Lines{"c.toml:2:6: Error while parsing key-value pair: expected '=', saw '7'"});
  const Lines twice = errors_of("[log]\nlevel = \"info\"\nlevel = \"warn\"\n");
  REQUIRE(twice.size() == 1);
  CHECK(twice[0].starts_with("c.toml:3:"));
}

TEST_CASE("config: a syntax error for want of quotes says so") {
  for (const char* line : {"max_packet_size = 64KiB", "keep_alive = 20s", "keep_alive = 0.5s", "unknown = refuse"}) {
    CAPTURE(line);
    const Lines errors = errors_of("[session]\n" + std::string(line) + "\n");
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].starts_with("c.toml:2:"));
    CHECK(errors[0].ends_with("; only numbers, true and false go without quotes"));
  }
}

TEST_CASE("config: ten mistakes give ten messages in the order of the file") {
  const Lines errors = errors_of(R"(color = true
[listen]
host = ["127.0.0.1", "*"]
prot = 7781
insecure = "no"
[store]
segment_size = "64 MiB"
directory = ""
[session]
keep_alive = 20
window_size = 0
[limts]
memory = "1GiB"
[log]
level = "loud"
)");
  const Lines places = {"c.toml:1:1: ",  "c.toml:3:22: ",  "c.toml:4:1: ",   "c.toml:5:12: ", "c.toml:7:16: ",
                        "c.toml:8:13: ", "c.toml:10:14: ", "c.toml:11:15: ", "c.toml:12:2: ", "c.toml:15:9: "};
  REQUIRE(errors.size() == 10);
  for (std::size_t i = 0; i < errors.size(); ++i) {
    CAPTURE(errors[i]);
    CHECK(errors[i].starts_with(places[i]));
  }
}

TEST_CASE("config: other hosts need TLS, or insecure = true") {
  const std::string what =
      ": other hosts could send without encryption; set up [tls] (cprotoctl key add NAME), or say insecure = true";
  CHECK(errors_of("[listen]\nhost = \"*\"\n[tls]\nkeys = \"\"\n") == Lines{"c.toml:2:8: listen.host = \"*\"" + what});
  CHECK(errors_of("[listen]\nhost = \"*\"\n[tls]\ncertificate = \"a\"\ncertificate_key = \"b\"\n") == Lines{});
  CHECK(errors_of("[listen]\nhost = [\"::1\", \"::\", \"192.0.2.7\"]\n") ==
        Lines{"c.toml:2:16: listen.host = \"::\"" + what});
  CHECK(errors_of("[listen]\nhost = \"*\"\ninsecure = true\n") == Lines{});
}

TEST_CASE("config: a packet takes at most a quarter of a segment") {
  CHECK(errors_of("[session]\nmax_packet_size = \"512KiB\"\n[store]\nsegment_size = \"1MiB\"\n") ==
        Lines{"c.toml:2:19: session.max_packet_size = \"512KiB\": must be at most a quarter of store.segment_size = "
              "\"1MiB\""});
  CHECK(errors_of("[session]\nmax_packet_size = \"256KiB\"\n[store]\nsegment_size = \"1MiB\"\n") == Lines{});
}

TEST_CASE("config: the byte window takes at least a packet") {
  CHECK(errors_of("[session]\nwindow_bytes = \"32KiB\"\n") ==
        Lines{"c.toml:2:16: session.window_bytes = \"32KiB\": must be at least session.max_packet_size = \"64KiB\""});
  CHECK(errors_of("[session]\nwindow_bytes = \"64KiB\"\n") == Lines{});
}

TEST_CASE("config: a refused value is reported once, not as a conflict too") {
  CHECK(errors_of("[listen]\nhost = \"*\"\ninsecure = \"yes\"\n") ==
        Lines{"c.toml:3:12: listen.insecure = \"yes\": must be true or false, without quotes"});
}

TEST_CASE("config: a session forgotten before its unfinished messages is a warning") {
  CHECK(warnings_of("[session]\nforget_session_after = \"1d\"\n") ==
        Lines{"c.toml:2:24: session.forget_session_after = \"1d\": a session takes its unfinished messages with it, "
              "before session.forget_unfinished_after = \"30d\""});
  // Told at the key that the file does set.
  CHECK(warnings_of("[session]\nforget_unfinished_after = 0\n") ==
        Lines{"c.toml:2:27: session.forget_session_after = \"365d\": a session takes its unfinished messages with it, "
              "before session.forget_unfinished_after = 0"});
  CHECK(warnings_of("[session]\nforget_session_after = 0\nforget_unfinished_after = 0\n") == Lines{});
}

TEST_CASE("config: a named file that cannot be read is an error") {
  CHECK(load("/nonexistent/c.toml").errors == Lines{"/nonexistent/c.toml: No such file or directory"});
  CHECK(load("/").errors == Lines{"/: Is a directory"});
  CHECK(load("/dev/zero").errors == Lines{"/dev/zero: File too large"});
}

TEST_CASE("config: the default file may be missing, but not unreadable") {
  const LoadResult missing = load_if_present("/nonexistent/c.toml");
  CHECK(missing.errors.empty());
  CHECK(missing.config == Config{});
  CHECK(load_if_present("/").errors == Lines{"/: Is a directory"});
}

}  // namespace
}  // namespace cproto
