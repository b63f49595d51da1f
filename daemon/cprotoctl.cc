// cprotoctl: asks a running cprotod (cprotoctl(1)). The daemon does the work and words the answer; here are arguments,
// a socket, and what needs no daemon.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "config/credentials.h"
#include "config/loader.h"
#include "config/version.h"
#include "daemon/bin_messages.h"
#include "daemon/exit_status.h"
#include "daemon/key_store.h"

namespace {

using namespace cproto;

constexpr const char* kRuntimeSocket = "/run/cproto/control";
constexpr int kAnswerSeconds = 15;
// Draining and verifying take as long as the disk takes.
constexpr int kWorkSeconds = 3600;

struct Arguments {
  std::string socket;
  std::string directory;
  bool json = false;
  std::string request;  // "sessions --unfinished web-1"
  int patience = kAnswerSeconds;
  std::string output;              // metrics
  std::vector<std::string> files;  // cat
  std::string separator = "\n";
  std::string key_job;  // "add", "list", "remove"
  std::string key_client;
  std::string key_file;  // empty: as the configuration says
  bool key_old_only = false;
};

int fail(int status, const std::string& sentence) {
  std::fprintf(stderr, "cprotoctl: %s\n", sentence.c_str());
  return status;
}

// --- the daemon ---

std::vector<std::string> socket_candidates(const Arguments& arguments) {
  if (!arguments.socket.empty()) return {arguments.socket};
  if (!arguments.directory.empty()) return {arguments.directory + "/control"};
  const LoadResult loaded = load_if_present(kConfigPath);
  const std::string store = loaded.errors.empty() ? loaded.config.store.directory : Config().store.directory;
  return {kRuntimeSocket, store + "/control"};
}

// Returns a descriptor, or -errno.
int connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return -ENAMETOOLONG;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  const int error = errno;
  ::close(fd);
  return -error;
}

int explain(const std::string& path, int error) {
  if (error == EACCES || error == EPERM)
    return fail(
        exit_status::kNoPermission,
        "no right to " + path + "; it is for root and group cproto: usermod -aG cproto $USER, and log in again");
  return fail(exit_status::kUnavailable, "cprotod is not running, or not here (" + path + ": " + std::strerror(error) +
                                             "); systemctl start cprotod, or say --directory DIR");
}

// Asks, and puts the answer into `text`. Returns the status it came with.
int ask(const Arguments& arguments, std::string& text) {
  const std::vector<std::string> candidates = socket_candidates(arguments);
  int fd = -ENOENT;
  for (const std::string& path : candidates) {
    fd = connect_to(path);
    if (fd >= 0) break;
    // Of sockets that are not there the first is the one to speak of.
    if (fd != -ENOENT && fd != -ECONNREFUSED) return explain(path, -fd);
  }
  if (fd < 0) return explain(candidates.front(), -fd);
  const timeval patience{arguments.patience, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const std::string request = (arguments.json ? "--json " : "") + arguments.request + "\n";
  ssize_t count = ::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
  std::string answer;
  char buffer[65536];
  while (count > 0 && (count = ::read(fd, buffer, sizeof buffer)) > 0)
    answer.append(buffer, static_cast<std::size_t>(count));
  const int read_error = count < 0 ? errno : 0;
  ::close(fd);
  const std::size_t end = answer.find('\n');
  if (read_error == EAGAIN)
    return fail(exit_status::kUnavailable,
                "cprotod does not answer within " + std::to_string(arguments.patience) + " s");
  if (read_error != 0 || end == std::string::npos)
    return fail(exit_status::kUnavailable, "cprotod ended without an answer");
  text = answer.substr(end + 1);
  return std::atoi(answer.c_str());
}

// --- metrics --output ---

// Written beside and renamed: whoever reads it sees the old or the new, whole.
int write_output(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".new";
  std::FILE* file = std::fopen(temporary.c_str(), "we");
  if (file == nullptr) return fail(exit_status::kCannotCreate, temporary + ": " + std::strerror(errno));
  const bool is_written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  ::fchmod(::fileno(file), 0644);  // node_exporter is somebody else
  if (std::fclose(file) != 0 || !is_written) {
    const std::string why = std::strerror(errno);
    ::unlink(temporary.c_str());
    return fail(exit_status::kIoError, temporary + ": " + why);
  }
  if (std::rename(temporary.c_str(), path.c_str()) == 0) return 0;
  return fail(exit_status::kCannotCreate, path + ": " + std::strerror(errno));
}

// --- cat ---

int cat(const Arguments& arguments) {
  int status = 0;
  for (const std::string& file : arguments.files) {
    std::ifstream in(file, std::ios::binary);
    if (in && std::filesystem::is_directory(file)) {
      status = fail(exit_status::kNoInput, file + ": is a directory");
      continue;
    }
    if (!in) {
      status = fail(exit_status::kNoInput, file + ": " + std::strerror(errno));
      continue;
    }
    const bool is_whole = read_bin_messages(
        in,
        [&](ByteView message) {
          std::cout.write(reinterpret_cast<const char*>(message.data()), static_cast<std::streamsize>(message.size()));
          std::cout << arguments.separator;
        },
        [&](const std::string& what) { fail(0, file + ": " + what); });
    if (!is_whole && status == 0) status = exit_status::kDataError;
  }
  std::cout.flush();
  return std::cout ? status : fail(exit_status::kIoError, std::string("standard output: ") + std::strerror(errno));
}

// --- key ---

std::string key_file(const Arguments& arguments) {
  if (!arguments.key_file.empty()) return arguments.key_file;
  const LoadResult loaded = load_if_present(kConfigPath);
  const std::string& keys = loaded.config.tls.keys;
  return credential_path(keys.empty() ? Config().tls.keys : keys);
}

// A daemon that runs takes it up at once; one that does not will when it starts.
void ask_to_reload(Arguments arguments) {
  arguments.request = "reload";
  arguments.json = false;
  std::string text;
  bool is_there = false;
  for (const std::string& path : socket_candidates(arguments)) {
    const int fd = connect_to(path);
    is_there = is_there || fd >= 0;
    if (fd >= 0) ::close(fd);
  }
  if (!is_there)
    return static_cast<void>(std::fputs("cprotoctl: cprotod does not run; it knows the keys when it starts\n", stderr));
  if (ask(arguments, text) != 0) std::fputs(text.c_str(), stderr);
}

int add_key(const Arguments& arguments, KeyStore& store) {
  if (!is_valid_name(arguments.key_client))
    return fail(exit_status::kUsage, "the name of a client is 1 to 64 of A-Z a-z 0-9 . _ -");
  ClientKey key(arguments.key_client, draw_secret());
  const std::string line = key.line();
  const bool is_first = store.keys().empty();
  store.add(std::move(key));
  if (const std::string trouble = store.save(); !trouble.empty()) return fail(exit_status::kCannotCreate, trouble);
  if (std::puts(line.c_str()) < 0 || std::fflush(stdout) != 0)
    return fail(exit_status::kIoError, std::string("standard output: ") + std::strerror(errno) +
                                           "; the key was made: cprotoctl key remove " + arguments.key_client);
  std::fprintf(stderr,
               "cprotoctl: put this line into a file on %s that nobody else can read, and send with --key FILE\n",
               arguments.key_client.c_str());
  if (is_first)
    std::fputs(
        "cprotoctl: it is the first key: from now on only TLS is taken (tls.allow_plain takes plain text, too)\n",
        stderr);
  ask_to_reload(arguments);
  return 0;
}

int list_keys(const KeyStore& store) {
  for (const ClientKey& key : store.keys()) std::printf("%s  %s\n", key.id.c_str(), key.client_id.c_str());
  return 0;
}

int remove_keys(const Arguments& arguments, KeyStore& store) {
  const std::size_t count = store.remove(arguments.key_client, arguments.key_old_only ? 1 : 0);
  if (count == 0) return fail(exit_status::kNoInput, "no such key: " + arguments.key_client);
  if (const std::string trouble = store.save(); !trouble.empty()) return fail(exit_status::kCannotCreate, trouble);
  ask_to_reload(arguments);
  return 0;
}

int manage_keys(const Arguments& arguments) {
  KeyStore store(key_file(arguments));
  if (const std::string trouble = store.open(); !trouble.empty()) return fail(exit_status::kNoInput, trouble);
  if (arguments.key_job == "list") return list_keys(store);
  return arguments.key_job == "add" ? add_key(arguments, store) : remove_keys(arguments, store);
}

// --- arguments ---

CLI::App* command(CLI::App& app, Arguments& arguments, const char* name, const char* what) {
  CLI::App* sub = app.add_subcommand(name, what);
  sub->fallthrough();  // --json and the like may stand behind the command
  sub->callback(
      [&arguments, name] { arguments.request = name + (arguments.request.empty() ? "" : " " + arguments.request); });
  return sub;
}

// Adds a word to the request.
void operand(CLI::App* sub, Arguments& arguments, const char* name, const char* what, bool is_required = true) {
  sub->add_option_function<std::string>(
         name, [&arguments](const std::string& word) { arguments.request += word; }, what)
      ->required(is_required);
}

void add_commands(CLI::App& app, Arguments& arguments) {
  command(app, arguments, "status", "The daemon: version, store, where it listens, how it does");
  auto* sessions = command(app, arguments, "sessions", "One line for each session");
  sessions->add_flag_callback(
      "--unfinished", [&] { arguments.request += "--unfinished "; }, "Only those with a half-sent message");
  operand(sessions, arguments, "CLIENT", "Only this client's", false);
  operand(command(app, arguments, "why", "One sentence: what a client is waiting for, and for how long"), arguments,
          "CLIENT", "Its client id");
  operand(command(app, arguments, "kick", "Close connections; the client comes back by itself"), arguments, "WHOM",
          "A client id, or a session");
  operand(command(app, arguments, "forget", "Let a session go that has no connection"), arguments, "SESSION",
          "Its short name");
  command(app, arguments, "drain", "Stop in order: everything received durable and delivered");
  command(app, arguments, "reload", "Read the configuration again: everything or nothing");
  command(app, arguments, "verify", "Read the journal again and check every checksum");
  auto* metrics = command(app, arguments, "metrics", "Prometheus text");
  metrics->add_option("--output", arguments.output, "Write it to this file, by rename");
  auto* key = app.add_subcommand("key", "Keys of clients; needs no daemon, and tells one that runs");
  key->require_subcommand(1);
  key->add_option("--file", arguments.key_file, "The key file (default: tls.keys)");
  const auto key_command = [&](const char* name, const char* what) {
    CLI::App* sub = key->add_subcommand(name, what);
    sub->fallthrough();
    sub->callback([&arguments, name] { arguments.key_job = name; });
    return sub;
  };
  key_command("add", "Make a key for a client, and print the line it needs")
      ->add_option("CLIENT", arguments.key_client, "Its client id")
      ->required();
  key_command("list", "The keys there are: id and client");
  auto* remove = key_command("remove", "Take a client's keys away; its connections end");
  remove->add_option("CLIENT", arguments.key_client, "Its client id")->required();
  remove->add_flag("--old", arguments.key_old_only, "All but the one added last");
  auto* cat = command(app, arguments, "cat", "Print the messages of .bin files; needs no daemon");
  cat->add_option("FILE", arguments.files, "Files of the inbox")->required();
  cat->add_flag_callback(
      "--null", [&] { arguments.separator.assign(1, '\0'); }, "NUL behind each message, not LF");
  cat->add_flag_callback(
      "--raw", [&] { arguments.separator.clear(); }, "Nothing behind a message");
}

// Returns -1 to go on, or the status to end with.
int parse(int argc, char** argv, Arguments& arguments) {
  CLI::App app{"Asks a running cprotod, and tells it what to do.", "cprotoctl"};
  app.add_option("--socket", arguments.socket, "The daemon's control socket (default: /run/cproto/control)");
  app.add_option("--directory", arguments.directory, "The store's directory: its control socket is there");
  app.add_flag("--json", arguments.json, "For programs");
  app.set_version_flag("--version", version_line("cprotoctl"));
  app.require_subcommand(1);
  add_commands(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_status::kUsage;
  }
  if (arguments.request == "drain" || arguments.request == "verify") arguments.patience = kWorkSeconds;
  return -1;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (const int status = parse(argc, argv, arguments); status >= 0) return status;
  if (!arguments.files.empty()) return cat(arguments);
  if (!arguments.key_job.empty()) return manage_keys(arguments);
  std::string text;
  const int status = ask(arguments, text);
  if (status == 0 && !arguments.output.empty()) return write_output(arguments.output, text);
  std::fputs(text.c_str(), status == 0 ? stdout : stderr);
  return status;
}
