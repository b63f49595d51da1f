#include "client/cli.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <map>

#include "client/congestion.h"
#include "client/file_source.h"
#include "client/help.h"
#include "config/units.h"
#include "config/version.h"

namespace cproto::client {

namespace {

// As many values as CLI11 lets one option have without splitting what looks like a list: "[1,2]" is a message.
constexpr int kManyValues = (1 << 25) - 1;

// --lines without a FILE: what no argument can be. An empty one is a variable of a script that was not set.
const std::string kNoFile(1, '\0');

// The options as CLI11 found them, before anything is made of them. Values are taken as they were written: none of
// CLI11's conversions, to which "{}" and "[a]" mean something; nor its positional arguments, for the same reason.
class RawArguments {
 public:
  RawArguments() {
    app_.set_help_flag("-h,--help");
    app_.set_version_flag("--version", version_line("cproto-send"));
    texts_ = app_.add_option("-m")->expected(1, kManyValues);
    lines_ = app_.add_option("-l,--lines")->expected(0, 1)->default_str(kNoFile);
    binary_ = app_.add_flag("--binary");
    as_ = single("--as");
    follow_ = single("--follow");
    journal_ = app_.add_flag("--journal");
    directory_ = single("--directory");
    from_end_ = app_.add_flag("--from-end");
    restart_ = app_.add_flag("--restart");
    state_ = single("--state");
    check_ = app_.add_flag("--check");
    servers_ = repeatable("-s,--server-addr");
    port_ = single("-p,--server-port");
    client_id_ = single("-i,--client-id");
    channel_ = single("-c,--channel");
    mode_ = single("--operation-mode");
    window_size_ = single("--window-size");
    max_packet_size_ = single("--max-packet-size");
    congestion_ = single("--congestion");
    require_ = single("--require");
    timeout_ = single("--timeout");
    key_ = single("--key");
    ca_ = single("--ca");
    certificate_ = single("--certificate");
    certificate_key_ = single("--certificate-key");
    server_name_ = single("--server-name");
    tls_ = app_.add_flag("--tls");
    quiet_ = app_.add_flag("-q,--quiet");
    verbose_ = app_.add_flag("-v,--verbose");
    json_ = app_.add_flag("--json");
    trace_ = app_.add_flag("--trace");
    app_.allow_extras();
  }

  void parse(std::vector<std::string> arguments) {
    const std::vector<std::string> behind_mark = take_behind_mark(arguments);
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
    app_.parse(std::move(arguments));
    for (std::string& extra : app_.remaining()) {
      if (extra != "-" && extra.starts_with('-'))
        throw CLI::ExtrasError("unknown option " + extra, CLI::ExitCodes::ExtrasError);
      operands_.push_back(std::move(extra));
    }
    operands_.insert(operands_.end(), behind_mark.begin(), behind_mark.end());
  }

  static std::optional<std::string> value(const CLI::Option* option) {
    if (option->count() == 0) return std::nullopt;
    return option->results().back();
  }

  CLI::Option* texts_;
  CLI::Option* lines_;
  CLI::Option* binary_;
  CLI::Option* as_;
  CLI::Option* follow_;
  CLI::Option* journal_;
  CLI::Option* directory_;
  CLI::Option* from_end_;
  CLI::Option* restart_;
  CLI::Option* state_;
  CLI::Option* check_;
  CLI::Option* servers_;
  CLI::Option* port_;
  CLI::Option* client_id_;
  CLI::Option* channel_;
  CLI::Option* mode_;
  CLI::Option* window_size_;
  CLI::Option* max_packet_size_;
  CLI::Option* congestion_;
  CLI::Option* require_;
  CLI::Option* timeout_;
  CLI::Option* key_;
  CLI::Option* ca_;
  CLI::Option* certificate_;
  CLI::Option* certificate_key_;
  CLI::Option* server_name_;
  CLI::Option* tls_;
  CLI::Option* quiet_;
  CLI::Option* verbose_;
  CLI::Option* json_;
  CLI::Option* trace_;
  std::vector<std::string> operands_;

 private:
  // Cuts the arguments at "--" and returns what stood behind it: operands, whatever they look like. CLI11 loses the
  // mark where it ends the values of an option.
  std::vector<std::string> take_behind_mark(std::vector<std::string>& arguments) const {
    for (auto it = arguments.begin(); it != arguments.end(); ++it) {
      if (*it == "--") {
        std::vector<std::string> behind(std::next(it), arguments.end());
        arguments.erase(it, arguments.end());
        return behind;
      }
      const CLI::Option* option = app_.get_option_no_throw(*it);
      const bool has_value = option != nullptr && option->get_items_expected_min() > 0;
      if (has_value && std::next(it) != arguments.end()) ++it;  // "--" would be the value
    }
    return {};
  }

  CLI::Option* single(const char* name) {
    return app_.add_option(name)->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
  CLI::Option* repeatable(const char* name) {
    return app_.add_option(name)->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }

  CLI::App app_;
};

// Makes Options of what was found. Every step returns what is wrong, or nothing.
class Reader {
 public:
  Reader(const RawArguments& raw, const Surroundings& surroundings) : raw_(raw), around_(surroundings) {}

  std::variant<Options, Answer, UsageError> read() {
    for (const auto step : {&Reader::read_job, &Reader::read_servers, &Reader::read_tls, &Reader::read_names,
                            &Reader::read_terms, &Reader::read_timeout, &Reader::read_state})
      if (auto error = (this->*step)()) return UsageError{*error};
    options_.quiet = raw_.quiet_->count() > 0;
    options_.verbose = raw_.verbose_->count() > 0;
    options_.json = raw_.json_->count() > 0;
    options_.trace = raw_.trace_->count() > 0;
    return std::move(options_);
  }

 private:
  using Wrong = std::optional<std::string>;

  // A flag's value, or what stands in for it in the environment.
  std::optional<std::string> value(const CLI::Option* option, const char* variable) const {
    if (auto given = RawArguments::value(option)) return given;
    auto from_environment = around_.environment(variable);
    if (from_environment && from_environment->empty()) return std::nullopt;
    return from_environment;
  }

  Wrong read_job() {
    if (auto wrong = read_what()) return wrong;
    if (raw_.as_->count() > 0 && options_.job != Options::Job::files) return "--as NAME is for a FILE, or for -";
    if (raw_.from_end_->count() > 0 && !options_.is_endless()) return "--from-end is for --follow FILE and --journal";
    if (raw_.directory_->count() > 0 && options_.job != Options::Job::journal)
      return "--directory DIR is for --journal";
    options_.from_end = raw_.from_end_->count() > 0;
    return std::nullopt;
  }

  Wrong read_what() {
    const bool has_texts = raw_.texts_->count() > 0;
    const bool has_lines = raw_.lines_->count() > 0;
    const bool has_binary = raw_.binary_->count() > 0;
    const std::vector<std::string>& operands = raw_.operands_;
    if (raw_.check_->count() > 0) {
      if (has_texts || has_lines || has_binary || !operands.empty()) return "--check sends nothing: it stands alone";
      options_.job = Options::Job::check;
      return std::nullopt;
    }
    if (raw_.journal_->count() > 0) {
      if (has_texts || has_lines || has_binary || raw_.follow_->count() > 0)
        return "--journal is a command of its own: without -m, --lines, --binary and --follow";
      return read_journal(operands);
    }
    if (const auto path = RawArguments::value(raw_.follow_)) {
      if (has_texts || has_lines || has_binary || !operands.empty())
        return "--follow FILE is a command of its own: without -m, --lines, --binary and files";
      if (path->empty() || *path == "-") return "--follow needs a FILE";
      options_.job = Options::Job::follow;
      options_.files = {*path};
      return std::nullopt;
    }
    if (has_texts && has_lines) return "-m and --lines are two commands: one of them";
    if (has_lines && has_binary) return "--lines is text; --binary FILE sends a file as one message of bytes";
    if (has_binary) options_.kind = MessageKind::binary;
    if (has_texts) return read_texts(operands);
    if (has_binary) return read_binary_files(operands);
    return has_lines ? read_lines(operands) : read_no_job(operands);
  }

  Wrong read_journal(const std::vector<std::string>& operands) {
    options_.job = Options::Job::journal;
    options_.matches = operands;
    options_.journal_directory = RawArguments::value(raw_.directory_).value_or("");
    if (raw_.directory_->count() > 0 && options_.journal_directory.empty()) return "--directory needs a folder";
    return std::nullopt;
  }

  Wrong read_texts(const std::vector<std::string>& operands) {
    if (!operands.empty())
      return "\"" + operands.front() + "\": with -m there are no files; say -m before each message";
    options_.job = Options::Job::texts;
    options_.texts = raw_.texts_->results();
    return std::nullopt;
  }

  Wrong read_binary_files(const std::vector<std::string>& operands) {
    if (operands.empty() && around_.stdin_is_terminal) return "nothing to send: --binary FILE..., or --binary -m TEXT";
    options_.job = Options::Job::binary_files;
    options_.files = operands.empty() ? std::vector<std::string>{"-"} : operands;
    if (std::count(options_.files.begin(), options_.files.end(), "-") > 1)
      return "standard input can be read only once";
    return std::nullopt;
  }

  Wrong read_lines(const std::vector<std::string>& operands) {
    std::vector<std::string> files = operands;
    const std::string& value = raw_.lines_->results().back();
    if (value != kNoFile) files.insert(files.begin(), value);
    if (std::count(files.begin(), files.end(), "") > 0) return "--lines needs a FILE, or nothing behind it";
    if (files.size() > 1 || raw_.lines_->count() > 1) return "--lines takes one FILE";
    options_.job = Options::Job::lines;
    options_.files = files.empty() ? std::vector<std::string>{"-"} : files;
    return std::nullopt;
  }

  Wrong read_no_job(const std::vector<std::string>& operands) {
    const bool is_stdin = operands.size() == 1 && operands.front() == "-";
    if (is_stdin && raw_.as_->count() == 0) return read_stdin();
    if (!operands.empty()) return read_files(operands);
    if (around_.stdin_is_terminal) return "nothing to send: say -m TEXT, --lines FILE or FILE..., or pipe lines in";
    return read_stdin();
  }

  Wrong read_files(const std::vector<std::string>& operands) {
    options_.job = Options::Job::files;
    options_.kind = MessageKind::file;
    options_.files = operands;
    options_.as = RawArguments::value(raw_.as_).value_or("");
    if (raw_.as_->count() > 0 && !is_valid_file_name(options_.as))
      return "--as \"" + printable(options_.as) + "\": a name has 1 to 255 bytes, no slash, no control bytes";
    if (raw_.as_->count() > 0 && operands.size() > 1)
      return "--as NAME is for one FILE; there are " + std::to_string(operands.size());
    std::map<std::string, std::string> names;
    for (const std::string& path : operands) {
      if (path == "-" && options_.as.empty()) return "standard input as a file needs a name: --as NAME";
      const auto [other, is_new] = names.emplace(base_name(path), path);
      if (!is_new && !base_name(path).empty())
        return printable(other->second) + " and " + printable(path) +
               " have the same name, and one would replace the other; send them apart, with --as NAME";
    }
    return std::nullopt;
  }

  Wrong read_stdin() {
    options_.job = Options::Job::lines;
    options_.files = {"-"};
    return std::nullopt;
  }

  Wrong read_servers() {
    std::uint16_t port = kDefaultPort;
    if (const auto text = RawArguments::value(raw_.port_)) {
      const auto parsed = parse_port(*text);
      if (!parsed) return "--server-port " + *text + ": a port is a number from 1 to 65535";
      port = *parsed;
    }
    std::vector<std::string> texts = raw_.servers_->results();
    if (texts.empty()) texts = {value(raw_.servers_, "CPROTO_SERVER").value_or("127.0.0.1")};
    for (const std::string& text : texts) {
      const auto server = parse_server_address(text, port);
      if (!server) return "server \"" + text + "\": write HOST, HOST:PORT or [ADDR]:PORT";
      options_.servers.push_back(*server);
    }
    return std::nullopt;
  }

  Wrong read_names() {
    constexpr const char* kAlphabet = "1 to 64 of A-Z a-z 0-9 . _ -, not beginning with . or -";
    options_.channel = value(raw_.channel_, "CPROTO_CHANNEL").value_or(options_.channel);
    if (!is_valid_name(options_.channel)) return "channel \"" + options_.channel + "\": it has " + kAlphabet;
    const auto given = value(raw_.client_id_, "CPROTO_CLIENT_ID");
    options_.client_id = given.value_or(around_.host_name);
    options_.client_id_is_given = given.has_value();
    if (!given && !options_.tls.key.empty()) return std::nullopt;  // the key says it
    if (!is_valid_name(options_.client_id))
      return (given ? "client id \"" : "the host name cannot be the client id; say -i ID: \"") + options_.client_id +
             (given ? "\": it has " : "\" is not ") + kAlphabet;
    if (!given && (options_.client_id == "localhost" || options_.client_id.starts_with("localhost.")))
      return "this host is called \"" + options_.client_id + "\", as many are; say who sends with -i ID";
    return std::nullopt;
  }

  Wrong read_terms() {
    if (const auto mode = RawArguments::value(raw_.mode_)) {
      if (*mode != "burst" && *mode != "step-by-step") return "--operation-mode " + *mode + ": burst or step-by-step";
      options_.mode = *mode == "burst" ? OperationMode::burst : OperationMode::step_by_step;
    }
    if (const auto window = RawArguments::value(raw_.window_size_)) {
      const auto size = parse_size(*window).value;
      if (!size || *size < 1 || *size > kWindowMax) return "--window-size " + *window + ": 1 to 32767 frames";
      options_.window_size = static_cast<std::uint32_t>(*size);
    }
    if (const auto packet = RawArguments::value(raw_.max_packet_size_)) {
      const auto size = parse_size(*packet).value;
      if (!size || *size < kPacketSizeMin || *size > kPacketSizeMax)
        return "--max-packet-size " + *packet + ": 64 to 1MiB, as in 1024 or 64KiB";
      options_.max_packet_size = static_cast<std::uint32_t>(*size);
    }
    options_.congestion = RawArguments::value(raw_.congestion_).value_or(options_.congestion);
    if (!is_congestion_setting(options_.congestion))
      return "--congestion " + printable(options_.congestion) + ": auto, system, or a name as cubic or bbr";
    if (const auto level = RawArguments::value(raw_.require_)) {
      if (*level == "fsync")
        options_.required = Require::fsync;
      else if (*level == "replicated")
        options_.required = Require::replicated;
      else if (*level != "any")
        return "--require " + printable(*level) + ": fsync, replicated or any";
    }
    return std::nullopt;
  }

  Wrong read_timeout() {
    const auto text = RawArguments::value(raw_.timeout_);
    if (!text) return std::nullopt;
    constexpr auto kLongest = std::chrono::hours(24 * 365 * 100);  // beyond it the sums would overflow
    const bool is_bare =
        !text->empty() && std::all_of(text->begin(), text->end(), [](unsigned char c) { return c >= '0' && c <= '9'; });
    const auto time = parse_time(is_bare ? *text + "s" : *text).value;
    if (!time || *time > kLongest) return "--timeout " + *text + ": a time like 30s, 10min or 2h; 0 is never";
    options_.timeout = *time;
    return std::nullopt;
  }

  Wrong read_tls() {
    TlsOptions& tls = options_.tls;
    for (const auto& [option, path] :
         {std::pair(raw_.key_, &tls.key), std::pair(raw_.ca_, &tls.ca), std::pair(raw_.certificate_, &tls.certificate),
          std::pair(raw_.certificate_key_, &tls.certificate_key), std::pair(raw_.server_name_, &tls.server_name)}) {
      const auto given = RawArguments::value(option);
      if (given && given->empty()) return option->get_name() + " needs a value";
      *path = given.value_or("");
    }
    tls.trusts_machine = raw_.tls_->count() > 0;
    const bool has_certificate = !tls.certificate.empty();
    if (!has_certificate && tls.ca.empty() && !tls.trusts_machine)
      tls.key = value(raw_.key_, "CPROTO_KEY").value_or("");
    if (has_certificate != !tls.certificate_key.empty())
      return "--certificate FILE and --certificate-key FILE go together";
    if (!tls.key.empty() && (has_certificate || !tls.ca.empty() || tls.trusts_machine))
      return "--key is enough: it says who both ends are; without --certificate, --ca and --tls";
    if (!tls.server_name.empty() && (tls.key.empty() ? !tls.is_wanted() : true))
      return "--server-name is for servers with a certificate: with --ca FILE, --certificate FILE or --tls";
    return std::nullopt;
  }

  // Said, given by the service manager, or the user's own place for state.
  Wrong read_state() {
    options_.restart = raw_.restart_->count() > 0;
    const auto set = [this](const char* variable) { return around_.environment(variable).value_or(""); };
    if (const auto said = RawArguments::value(raw_.state_)) {
      if (said->empty()) return "--state needs a folder";
      options_.state_directory = *said;
    } else if (const std::string given = set("STATE_DIRECTORY"); !given.empty()) {
      options_.state_directory = given.substr(0, given.find(':'));
    } else if (const std::string own = set("XDG_STATE_HOME"); own.starts_with('/')) {
      options_.state_directory = own + "/cproto";
    } else if (const std::string home = set("HOME"); !home.empty()) {
      options_.state_directory = home + "/.local/state/cproto";
    }
    return std::nullopt;
  }

  const RawArguments& raw_;
  const Surroundings& around_;
  Options options_;
};

}  // namespace

std::variant<Options, Answer, UsageError> parse_arguments(const std::vector<std::string>& arguments,
                                                          const Surroundings& surroundings) {
  try {
    RawArguments raw;
    try {
      raw.parse(arguments);
    } catch (const CLI::CallForHelp&) {
      return Answer{kHelp};
    } catch (const CLI::CallForVersion&) {
      return Answer{version_line("cproto-send") + "\n"};
    }
    return Reader(raw, surroundings).read();
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string_view text = error.what();
    return UsageError{std::string(text.substr(0, text.find(':'))) + " needs a value"};
  } catch (const CLI::Error& error) {
    return UsageError{error.what()};
  }
}

}  // namespace cproto::client
