#include "client/cli.h"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

using namespace cproto;
using namespace cproto::client;

namespace {

using Arguments = std::vector<std::string>;
using Job = Options::Job;

struct Around {
  std::map<std::string, std::string> environment;
  std::string host_name = "web-1";
  bool stdin_is_terminal = true;
};

std::variant<Options, Answer, UsageError> parsed(const Arguments& arguments, const Around& around) {
  const auto environment = [&around](const char* name) -> std::optional<std::string> {
    const auto it = around.environment.find(name);
    return it == around.environment.end() ? std::nullopt : std::optional(it->second);
  };
  return parse_arguments(arguments, {environment, around.host_name, around.stdin_is_terminal});
}

Options options(const Arguments& arguments, const Around& around = {}) {
  const auto result = parsed(arguments, around);
  if (const auto* error = std::get_if<UsageError>(&result)) FAIL(error->text);
  REQUIRE(std::holds_alternative<Options>(result));
  return std::get<Options>(result);
}

// Why the arguments are refused; empty if they are not.
std::string refusal(const Arguments& arguments, const Around& around = {}) {
  const auto result = parsed(arguments, around);
  const auto* error = std::get_if<UsageError>(&result);
  return error == nullptr ? "" : error->text;
}

Arguments with_message(Arguments arguments) {
  arguments.insert(arguments.end(), {"-m", "x"});
  return arguments;
}

}  // namespace

TEST_CASE("arguments: a message is what was written, whatever it looks like") {
  const Arguments texts = {"",    "-m", "--lines", "--",  "-", "[1,2]", "[]",     "{}",    "%%",
                           "a=b", "-1", "\\n",     "a b", "'", "[a]",   "--help", "\"x\"", "/dev/null"};
  Arguments arguments;
  for (const std::string& text : texts) arguments.insert(arguments.end(), {"-m", text});
  CHECK(options(arguments).texts == texts);
  CHECK(options(arguments).job == Job::texts);
  for (const std::string& text : texts) CHECK(options({"-m", text}).texts == Arguments{text});
}

TEST_CASE("arguments: one -m takes several messages up to the next option") {
  CHECK(options({"-m", "a", "b", "-q", "-m", "c"}).texts == Arguments{"a", "b", "c"});
  CHECK(options({"-m", "a", "b", "-q", "-m", "c"}).quiet);
}

TEST_CASE("arguments: --lines takes a file, or standard input") {
  CHECK(options({"--lines", "app.log"}).files == Arguments{"app.log"});
  CHECK(options({"--lines=app.log"}).files == Arguments{"app.log"});
  CHECK(options({"-l", "-q", "app.log"}).files == Arguments{"app.log"});
  CHECK(options({"app.log", "-l"}).files == Arguments{"app.log"});
  CHECK(options({"-l", "--", "-odd-name"}).files == Arguments{"-odd-name"});
  CHECK(options({"-l", "-c", "x", "--", "-l"}).files == Arguments{"-l"});
  CHECK(options({"-l"}).files == Arguments{"-"});
  CHECK(options({"-l", "-"}).files == Arguments{"-"});
  CHECK(options({"-l"}).job == Job::lines);
  CHECK(options({"-l"}).kind == MessageKind::text);
}

TEST_CASE("arguments: without operands standard input is read, unless it is a terminal") {
  const Around piped = {{}, "web-1", false};
  CHECK(options({}, piped).job == Job::lines);
  CHECK(options({}, piped).files == Arguments{"-"});
  CHECK(options({"-"}, {}).files == Arguments{"-"});
  CHECK(refusal({}).find("nothing to send") == 0);
}

TEST_CASE("arguments: --binary makes each text or file a message of bytes") {
  CHECK(options({"--binary", "-m", "x"}).job == Job::texts);
  CHECK(options({"--binary", "-m", "x"}).kind == MessageKind::binary);
  CHECK(options({"--binary", "[a]", "b", "-"}).files == Arguments{"[a]", "b", "-"});
  CHECK(options({"--binary", "a"}).job == Job::binary_files);
  CHECK(options({"--binary"}, {{}, "web-1", false}).files == Arguments{"-"});
  CHECK(refusal({"--binary"}).find("nothing to send") == 0);
}

TEST_CASE("arguments: what is not asked for keeps its default") {
  const Options defaults = options({"-m", "x"});
  CHECK(defaults.servers == std::vector<ServerAddress>{{"127.0.0.1", 7780}});
  CHECK(defaults.mode == OperationMode::burst);
  CHECK(defaults.window_size == 32767);
  CHECK(defaults.max_packet_size == 65536);
  CHECK(defaults.client_id == "web-1");
  CHECK(defaults.channel == "messages");
  CHECK_FALSE(defaults.timeout.has_value());
  CHECK_FALSE((defaults.quiet || defaults.verbose || defaults.json || defaults.trace));
}

TEST_CASE("arguments: every option has its effect") {
  const Options all = options({"-s",
                               "a",
                               "-s",
                               "b:9",
                               "-s",
                               "[::1]:8",
                               "-p",
                               "7",
                               "-i",
                               "me",
                               "-c",
                               "nginx",
                               "-q",
                               "-v",
                               "--json",
                               "--trace",
                               "-m",
                               "x",
                               "--timeout",
                               "90s",
                               "--operation-mode",
                               "step-by-step",
                               "--window-size",
                               "12",
                               "--max-packet-size",
                               "4KiB",
                               "--congestion",
                               "cubic"});
  CHECK(all.servers == std::vector<ServerAddress>{{"a", 7}, {"b", 9}, {"::1", 8}});
  CHECK(all.client_id == "me");
  CHECK(all.channel == "nginx");
  CHECK(all.timeout == 90s);
  CHECK(all.mode == OperationMode::step_by_step);
  CHECK(all.window_size == 12);
  CHECK(all.max_packet_size == 4096);
  CHECK(all.congestion == "cubic");
  CHECK((all.quiet && all.verbose && all.json && all.trace));
}

TEST_CASE("arguments: a bare timeout is seconds, and 0 is never") {
  CHECK(options(with_message({"--timeout", "30"})).timeout == 30s);
  CHECK(options(with_message({"--timeout", "10min"})).timeout == 10min);
  CHECK(options(with_message({"--timeout", "0"})).timeout == 0s);
  for (const char* text : {"", "x", "3x", "-1", "1.5s", "99999999999999999999", "9999999999999h"})
    CHECK_MESSAGE(!refusal(with_message({"--timeout", text})).empty(), text);
}

TEST_CASE("arguments: the environment stands in, and flags win") {
  const Around around = {{{"CPROTO_SERVER", "logs:9"}, {"CPROTO_CLIENT_ID", "env-id"}, {"CPROTO_CHANNEL", "env"}}};
  CHECK(options({"-m", "x"}, around).servers == std::vector<ServerAddress>{{"logs", 9}});
  CHECK(options({"-m", "x"}, around).client_id == "env-id");
  CHECK(options({"-m", "x"}, around).channel == "env");
  const Options flags = options(with_message({"-s", "other", "-i", "me", "-c", "mine"}), around);
  CHECK(flags.servers == std::vector<ServerAddress>{{"other", 7780}});
  CHECK(flags.client_id == "me");
  CHECK(flags.channel == "mine");
  const Around key = {{{"CPROTO_KEY", "web-1.key"}}, "localhost"};
  CHECK(options({"-m", "x"}, key).tls.key == "web-1.key");
  CHECK(options(with_message({"--key", "other.key"}), key).tls.key == "other.key");
  CHECK(options(with_message({"-i", "web-1", "--ca", "ca.pem"}), key).tls.key.empty());
  CHECK(options({"-m", "x"}, {{{"CPROTO_SERVER", ""}, {"CPROTO_CLIENT_ID", ""}}}).client_id == "web-1");
}

TEST_CASE("arguments: a host name that says nothing is no client id") {
  for (const char* name : {"localhost", "localhost.localdomain", "", "-web", "web 1", "w\xc3\xa9"})
    CHECK_MESSAGE(refusal({"-m", "x"}, {{}, name}).find("-i ID") != std::string::npos, name);
  CHECK(options(with_message({"-i", "me"}), {{}, "localhost"}).client_id == "me");
}

TEST_CASE("arguments: what cannot be meant is refused with a sentence") {
  const Arguments refused[] = {
      {"a", "--as", "x/y"},
      {"a", "b", "--as", "x"},
      {"x/a", "y/a"},
      {"a", "-"},
      {"-m", "x", "--as", "y"},
      {"-l", "--as", "y"},
      {"--state", "", "a"},
      {"--follow", "-"},
      {"--follow"},
      {"--follow", "x", "y"},
      {"--follow", "x", "-m", "y"},
      {"--journal", "-m", "y"},
      {"--journal", "--follow", "x"},
      {"--journal", "--directory", ""},
      {"--directory", "x", "y"},
      {"--from-end", "x"},
      {"-m"},
      {"-m", "x", "--lines"},
      {"-m", "x", "-q", "file"},
      {"--lines", "a", "b"},
      {"--lines", ""},
      {"-l", "--", ""},
      {"--lines", "--binary", "a"},
      {"--check", "-m", "x"},
      {"--check", "file"},
      {"--binary", "-", "-"},
      with_message({"-s"}),
      with_message({"-s", ""}),
      with_message({"-s", "a:0"}),
      with_message({"-p", "0"}),
      with_message({"-p", "65536"}),
      with_message({"-p", "x"}),
      with_message({"-i", ".hidden"}),
      with_message({"-i", ""}),
      with_message({"-c", "a/b"}),
      with_message({"-c", "-"}),
      with_message({"--operation-mode", "fast"}),
      with_message({"--window-size", "0"}),
      with_message({"--window-size", "32768"}),
      with_message({"--window-size", "-1"}),
      with_message({"--max-packet-size", "63"}),
      with_message({"--max-packet-size", "2MiB"}),
      with_message({"--max-packet-size", "64Kib"}),
      with_message({"--congestion", ""}),
      with_message({"--congestion", "Not One"}),
  };
  for (const Arguments& arguments : refused) {
    std::string line;
    for (const std::string& argument : arguments) line += argument + " ";
    CHECK_MESSAGE(!refusal(arguments).empty(), line);
  }
  CHECK(refusal({"x/a", "y/a"}).find("--as NAME") != std::string::npos);
  CHECK(refusal({"--fellow", "x"}) == "unknown option --fellow");
  CHECK(refusal({"-m"}) == "-m needs a value");
}

TEST_CASE("arguments: operands are files, and - with --as is one") {
  CHECK(options({"a", "dir/b"}).job == Job::files);
  CHECK(options({"a", "dir/b"}).kind == MessageKind::file);
  CHECK(options({"a", "dir/b"}).files == Arguments{"a", "dir/b"});
  CHECK(options({"-", "--as", "etc.tgz"}).files == Arguments{"-"});
  CHECK(options({"-", "--as", "etc.tgz"}).as == "etc.tgz");
  CHECK(options({"--restart", "a"}).restart);
}

TEST_CASE("arguments: --follow takes one log, and --from-end belongs to it") {
  CHECK(options({"--follow", "app.log"}).job == Job::follow);
  CHECK(options({"--follow", "app.log"}).files == Arguments{"app.log"});
  CHECK_FALSE(options({"--follow", "app.log"}).from_end);
  CHECK(options({"--follow", "app.log", "--from-end"}).from_end);
}

TEST_CASE("arguments: --journal takes matches, in any place and of any form") {
  const Options journal =
      options({"PRIORITY=3", "--journal", "-q", "+", "_EXE=/bin/a", "--from-end", "--directory", "dir"});
  CHECK(journal.job == Job::journal);
  CHECK(journal.matches == Arguments{"PRIORITY=3", "+", "_EXE=/bin/a"});
  CHECK(journal.journal_directory == "dir");
  CHECK(journal.from_end);
  CHECK(journal.is_endless());
  CHECK(options({"--journal"}).matches.empty());
}

TEST_CASE("arguments: what is remembered goes where it is said, given, or at home") {
  const auto directory = [](const Arguments& more, const Around& around) {
    Arguments arguments{"a"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return options(arguments, around).state_directory;
  };
  const Around all = {{{"STATE_DIRECTORY", "/given:/other"}, {"XDG_STATE_HOME", "/xdg"}, {"HOME", "/home/me"}}};
  CHECK(directory({"--state", "/said"}, all) == "/said");
  CHECK(directory({}, all) == "/given");
  CHECK(directory({}, {{{"XDG_STATE_HOME", "/xdg"}, {"HOME", "/home/me"}}}) == "/xdg/cproto");
  CHECK(directory({}, {{{"HOME", "/home/me"}}}) == "/home/me/.local/state/cproto");
  CHECK(directory({}, {}).empty());
}

TEST_CASE("arguments: help and version are answers") {
  const auto answer = [](const char* flag) {
    const auto result = parsed({flag}, {});
    const auto* text = std::get_if<Answer>(&result);
    return text == nullptr ? std::string() : text->text;
  };
  CHECK(answer("--help").find("--lines") != std::string::npos);
  CHECK(answer("--version").find("cproto-send " CPROTO_VERSION) == 0);
}
