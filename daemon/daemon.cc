#include "daemon/daemon.h"

#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <utility>

#include "config/schema.h"
#include "config/wording.h"
#include "daemon/exit_status.h"
#include "daemon/journal_store.h"
#include "daemon/nats_stream.h"
#include "daemon/notify.h"
#include "daemon/stream_store.h"
#include "daemon/surroundings.h"
#include "daemon/tls_files.h"
#include "proto/assert.h"

namespace cproto {

namespace {

constexpr std::size_t kReadSize = 256u << 10;
// Clients of a daemon that restarts come back so soon.
constexpr Duration kRestartAfter = 500ms;
// How long draining waits for clients, and then for a disk on which nothing moves.
constexpr Duration kDrainClients = 5s;
constexpr Duration kDrainDisk = 30s;
// Without a service manager to ask for more: whoever runs containers kills after 10 s.
constexpr Duration kDrainAlone = 4s;
constexpr Duration kSayEvery = 1s;
constexpr Duration kExtend = 60s;
// A certificate that ends within so much is spoken of so often.
constexpr std::int64_t kExpiresSoon = 30 * 24 * 3600;
constexpr Duration kExpiryEvery = 24h;

Id128 draw_id() {
  Id128 id;
  CPROTO_ASSERT(::getrandom(id.data(), id.size(), 0) == static_cast<ssize_t>(id.size()));
  return id;
}

int status_of_errno(int error) {
  switch (error) {
    case EACCES:
    case EROFS:
    case EPERM: return exit_status::kNoPermission;
    case EIO: return exit_status::kIoError;
    default: return exit_status::kCannotCreate;
  }
}

int status_of_listening(int error) {
  switch (error) {
    case EACCES:
    case EPERM: return exit_status::kNoPermission;
    case EINVAL: return exit_status::kConfig;
    default: return exit_status::kOsError;
  }
}

StoreOptions store_options(const Config& config) {
  StoreOptions options;
  options.directory = config.store.directory;
  options.inbox = config.inbox.directory;
  options.segment_size = config.store.segment_size;
  options.existing_file = config.inbox.existing_file;
  options.space = {config.limits.free_space, config.limits.inbox_per_client};
  options.memory = config.limits.memory;
  options.forget = {config.session.forget_unfinished_after, config.session.forget_session_after};
  RegistryOptions& registry = options.registry;
  registry.max_packet_size = static_cast<std::uint32_t>(config.session.max_packet_size);
  registry.window_size = config.session.window_size;
  registry.restart_unknown = config.session.unknown == UnknownSession::restart;
  registry.message_size_max = config.limits.message_size;
  registry.file_size_max = config.limits.file_size;
  registry.clients_max = config.limits.clients;
  registry.channels_per_client_max = config.limits.channels_per_client;
  return options;
}

// By the clock on the wall: for people.
std::string time_of_day() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  char text[8];
  if (::localtime_r(&now, &local) == nullptr || std::strftime(text, sizeof text, "%H:%M", &local) == 0) return {};
  return text;
}

ServerOptions server_options(const Config& config) {
  ServerOptions options;
  options.handshake_timeout = config.session.handshake_timeout;
  options.keep_alive = config.session.keep_alive;
  return options;
}

// systemd's, if it made one; else beside the store, where it is nobody else's business.
std::string control_path(const std::string& store) {
  const char* runtime = std::getenv("RUNTIME_DIRECTORY");
  const std::string folder =
      runtime != nullptr ? std::string(runtime).substr(0, std::string(runtime).find(':')) : store;
  return folder + "/control";
}

// While the store is being opened nobody is served, so there is nothing to stop in order. (As process 1 of a container
// nothing ends us but what we handle.)
void end_at_once(int) { ::_exit(0); }

}  // namespace

Daemon::Daemon(const Config& config, Log& log, Hooks hooks)
    : config_(config), log_(log), hooks_(std::move(hooks)), started_(reactor_.now()), disk_(reactor_.loop(), [this] {
        after_round();
      }) {
  world_ = {[this] { return reactor_.now(); }, draw_id, time_of_day};
}

Daemon::~Daemon() {
  reactor_.deadlines().remove(*this);
  control_.reset();
  if (listener_) {
    listener_->stop_listening();
    listener_->close_all();
  }
  if (signals_started_)
    for (uv_signal_t& signal : signals_) uv_close(reinterpret_cast<uv_handle_t*>(&signal), nullptr);
  reactor_.set_after_round({});
  disk_.end();                             // what its jobs point at is the store's
  uv_run(reactor_.loop(), UV_RUN_NOWAIT);  // and connections that are being closed still speak to it
  health_.reset();
  store_.reset();
  stream_.reset();
  uv_run(reactor_.loop(), UV_RUN_NOWAIT);
}

// --- opening ---

Daemon::Outcome Daemon::open() {
  ::signal(SIGPIPE, SIG_IGN);  // a closed socket or log is an error of the write, not the end of the program
  ::signal(SIGTERM, end_at_once);
  ::signal(SIGINT, end_at_once);
  ::signal(SIGHUP, SIG_IGN);  // the configuration has just been read
  const ConnectionLimits limits = connection_limits();
  ::umask(027);
  if (Outcome outcome = open_store(); outcome.status != 0) return outcome;
  if (Outcome outcome = open_listener(limits); outcome.status != 0) return outcome;
  health_ = std::make_unique<Health>(reactor_.now(), HealthOptions{watchdog_interval()}, log_, notify,
                                     [this] { return status_line(); });
  operator_ = std::make_unique<Operator>(*store_, log_,
                                         Operator::Hooks{[this] { return view(); }, [this] { return reload(); },
                                                         [this](Answer answer) {
                                                           drain_answers_.push_back(std::move(answer));
                                                           if (!is_draining_) drain();
                                                         }});
  open_control();
  start_signals();
  reactor_.set_after_round([this] { after_round(); });
  say_ready();
  return {};
}

std::string Daemon::inbox() const {
  return config_.inbox.directory.empty() ? config_.store.directory + "/inbox" : config_.inbox.directory;
}

Daemon::Outcome Daemon::open_store() {
  const std::string& directory = config_.store.directory;
  if (const int error = lock_.acquire(directory); error != 0) {
    if (error == EWOULDBLOCK)
      return {exit_status::kTemporaryFailure, "another cprotod (pid " + lock_.holder() + ") uses " + directory};
    return {status_of_errno(error),
            directory + " cannot be used: " + std::strerror(error) + path_hint(error, directory)};
  }
  if (config_.store.engine == Engine::journal) return open_journal_store();
  open_stream_store();
  return {};
}

Daemon::Outcome Daemon::open_journal_store() {
  const std::string& directory = config_.store.directory;
  check_file_system(directory, log_);
  StoreOptions options = store_options(config_);
  options.on_progress = [said = std::chrono::steady_clock::time_point{}](const std::string& what) mutable {
    const auto now = std::chrono::steady_clock::now();
    if (now - said < kSayEvery) return;
    said = now;
    notify("STATUS=recovering: " + what + "\n" + extend_timeout(kExtend));
  };
  auto opened = JournalStore::open(disk_, options, world_, log_);
  if (const StoreProblem* problem = std::get_if<StoreProblem>(&opened))
    return {problem->is_newer ? exit_status::kConfig : status_of_errno(problem->error),
            problem->sentence + path_hint(problem->error, options.inbox.empty() ? directory : options.inbox)};
  store_ = std::move(std::get<std::unique_ptr<JournalStore>>(opened));
  if (const std::string trouble = give_to_group(inbox(), config_.inbox.group); !trouble.empty())
    log_.warn(LogEvent::inbox_blocked, trouble);
  return {};
}

// It need not be there: until it is senders are told to come back.
void Daemon::open_stream_store() {
  const Config::JetStream& of = config_.jetstream;
  NatsStreamOptions options;
  for (std::size_t at = 0; at < of.url.size();) {
    const std::size_t comma = std::min(of.url.find(',', at), of.url.size());
    std::string server = of.url.substr(at, comma - at);
    std::erase(server, ' ');
    if (!server.empty()) options.servers.push_back(std::move(server));
    at = comma + 1;
  }
  options.credentials = of.credentials;
  options.ca = of.ca;
  options.stream = of.stream;
  options.creates = of.create;
  options.replicas = of.replicas;
  options.bytes_max = of.max_bytes;
  options.age_max_ns = static_cast<std::uint64_t>(std::chrono::nanoseconds(of.max_age).count());
  stream_ = std::make_unique<NatsStream>(reactor_.loop(), std::move(options));
  store_ = std::make_unique<StreamStore>(*stream_, store_options(config_),
                                         StreamStoreOptions{"the stream " + of.stream, of.pack_size, of.servers_sync},
                                         world_, log_);
}

Daemon::Outcome Daemon::open_listener(const ConnectionLimits& limits) {
  shared_ = std::make_unique<ConnectionShared>(ConnectionShared{reactor_, *store_, log_, counters_, world_,
                                                                server_options(config_), config_.session.window_bytes,
                                                                Bytes(kReadSize)});
  LoadedTls tls = load_tls(config_.tls);
  if (!tls.problem.empty()) return {exit_status::kConfig, tls.problem};
  if (!tls.warning.empty()) log_.warn(LogEvent::none, tls.warning);
  shared_->tls = std::move(tls.context);
  shared_->allows_plain = config_.tls.allow_plain;
  shared_->authority = Authority(config_.client);
  ListenerOptions options{config_.listen.host, config_.listen.port, limits,
                          config_.listen.insecure || shared_->tls != nullptr, take_inherited_sockets()};
  listener_ = std::make_unique<Listener>(*shared_, options);
  if (const auto problem = listener_->open()) return {status_of_listening(problem->error), problem->sentence};
  store_->set_on_room([this] { listener_->on_room(); });
  return {};
}

void Daemon::open_control() {
  const auto on_not_taken = [this](int error) {
    ++counters_.accept_failures;
    if (const auto more = control_failures_.note(reactor_.now()))
      log_.warn(LogEvent::few_descriptors, std::string("cprotoctl has to wait: ") + std::strerror(error) + *more);
  };
  control_ = std::make_unique<ControlSocket>(
      reactor_, [this](const Request& request, const Answer& answer) { operator_->handle(request, answer); },
      on_not_taken);
  const std::string trouble = control_->open(control_path(config_.store.directory));
  if (!trouble.empty()) log_.warn(LogEvent::listening, "no control socket, so no cprotoctl: " + trouble);
}

void Daemon::start_signals() {
  const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
  for (std::size_t i = 0; i < std::size(numbers); ++i) {
    uv_signal_init(reactor_.loop(), &signals_[i]);
    signals_[i].data = this;
    uv_signal_start(
        &signals_[i], [](uv_signal_t* handle, int number) { static_cast<Daemon*>(handle->data)->on_signal(number); },
        numbers[i]);
  }
  signals_started_ = true;
}

void Daemon::say_ready() {
  const bool is_open = listener_->is_open_to_others();
  log_.info(LogEvent::listening,
            "listening on " + listener_->addresses() +
                (is_open ? "" : "; other hosts can't reach it (see [listen] in /etc/cproto.toml)"));
  if (is_open && !shared_->tls)
    log_.warn(LogEvent::open_to_others,
              "listen.insecure: other hosts send unencrypted, and the name they give is believed");
  say_tls();
  notify("READY=1\nSTATUS=" + status_line());
}

// What weakens it, at each start and reload.
void Daemon::say_tls() {
  if (shared_->tls && config_.tls.allow_plain)
    log_.warn(LogEvent::open_to_others,
              "tls.allow_plain: plain text is taken beside TLS, and the name its senders give is believed");
  if (shared_->tls && !shared_->tls->knows_clients() && !config_.tls.allow_plain)
    log_.warn(LogEvent::listening,
              "tls: nobody can send: there is no key (cprotoctl key add CLIENT) and no tls.client_ca");
  say_certificate();
}

std::optional<std::int64_t> Daemon::certificate_left() const {
  if (!shared_->tls || !shared_->tls->expires()) return std::nullopt;
  return *shared_->tls->expires() - std::int64_t{std::time(nullptr)};
}

// Once a day, from a month before its end.
void Daemon::say_certificate() {
  const auto left = certificate_left();
  certificate_said_at_ = left ? reactor_.now() + kExpiryEvery : kNever;
  if (!left || *left >= kExpiresSoon) return;
  const std::uint64_t days = static_cast<std::uint64_t>(std::max<std::int64_t>(*left, 0)) / (24 * 3600);
  log_.warn(LogEvent::certificate_expires,
            *left <= 0
                ? "the certificate has expired: clients refuse it (tls.certificate; then systemctl reload cprotod)"
                : "the certificate expires in " + counted(days, {"day", "days"}) +
                      " (tls.certificate; then systemctl reload cprotod)");
}

std::string Daemon::status_line() {
  if (is_draining_)
    return "draining: " + counted(listener_->connections(), {"connection", "connections"}) + ", " +
           store_->left_to_do();
  return "listening on " + listener_->addresses() + "; " +
         counted(listener_->connections(), {"connection", "connections"}) + ", " +
         counted(counters_.messages, {"message", "messages"}) + " so far";
}

DaemonView Daemon::view() {
  return {reactor_.now(),
          started_,
          *store_,
          counters_,
          listener_->connections(),
          listener_->addresses(),
          health_->trouble(),
          is_draining_,
          listener_->handshakes(),
          certificate_left()};
}

// --- reloading ---

void Daemon::on_signal(int signal) {
  if (signal == SIGHUP) return static_cast<void>(reload());
  if (is_draining_) return reactor_.stop();  // said twice: at once
  drain();
}

std::vector<std::string> Daemon::mistakes_in(const LoadResult& loaded, const std::string& tls_problem) const {
  std::vector<std::string> mistakes = loaded.errors;
  if (mistakes.empty() && !tls_problem.empty()) mistakes.push_back(tls_problem);
  const std::string& group = loaded.config.inbox.group;
  if (mistakes.empty() && group != config_.inbox.group && !group_exists(group))
    mistakes.push_back("inbox.group: there is no group " + group);
  return mistakes;
}

Reply Daemon::reload() {
  notify_reloading();
  const LoadResult loaded = hooks_.load();
  Reply reply;
  const auto tell = [&](Severity severity, LogEvent event, const std::string& line) {
    log_.write(severity, event, line, {});
    reply.text += line + "\n";
  };
  LoadedTls tls = loaded.errors.empty() ? load_tls(loaded.config.tls) : LoadedTls{};
  // Its clients would go on in plain text, or not at all.
  const bool is_lost = loaded.errors.empty() && tls.problem.empty() && shared_->tls && !tls.context;
  if (is_lost && listener_->is_open_to_others() && !config_.listen.insecure)
    tls.problem = "tls: there is neither a key file nor a certificate any more, and other hosts reach this port";
  const std::vector<std::string> mistakes = mistakes_in(loaded, tls.problem);
  for (const std::string& line : mistakes) tell(Severity::error, LogEvent::reload_refused, line);
  for (const std::string& line : loaded.warnings) tell(Severity::warn, LogEvent::restart_needed, line);
  if (!tls.warning.empty()) tell(Severity::warn, LogEvent::none, tls.warning);
  if (!mistakes.empty()) {
    reply.status = exit_status::kConfig;
    tell(Severity::error, LogEvent::reload_refused, "not reloaded; the configuration in force stays");
  } else {
    for (const std::string& key : apply(loaded.config, std::move(tls.context)))
      tell(Severity::warn, LogEvent::restart_needed, key + " takes effect at a restart");
    tell(Severity::info, LogEvent::reloaded, "configuration reloaded");
  }
  notify("READY=1\nSTATUS=" + status_line());
  return reply;
}

// Connections that are there keep what was agreed with them. Returns the keys that stay as they are until a restart.
std::vector<std::string> Daemon::apply(const Config& next, std::shared_ptr<const TlsContext> tls) {
  const std::vector<std::string> later = keys_needing_restart(config_, next);
  Config merged = next;
  for (const config::Key& key : config::keys())
    if (key.change == config::Change::by_restart) key.set(merged, key.get(config_));
  if (merged.inbox.group != config_.inbox.group)
    if (const std::string trouble = give_to_group(inbox(), merged.inbox.group); !trouble.empty())
      log_.warn(LogEvent::inbox_blocked, trouble);
  config_ = std::move(merged);
  shared_->session = server_options(config_);
  shared_->window_bytes = config_.session.window_bytes;
  shared_->tls = std::move(tls);
  shared_->allows_plain = config_.tls.allow_plain;
  shared_->authority = Authority(config_.client);
  listener_->review();
  say_tls();
  listener_->set_limits(connection_limits());
  store_->set_options(store_options(config_));
  hooks_.set_level(config_.log.level);
  return later;
}

ConnectionLimits Daemon::connection_limits() {
  const Config::Limits& limits = config_.limits;
  return {limits.connections, limits.connections_per_address, limits.handshakes_pending,
          check_descriptors(limits.connections, log_)};
}

// --- stopping ---

// Everything received becomes durable and delivered; clients are told when to come back.
void Daemon::drain() {
  log_.info(LogEvent::stopping,
            "stopping: " + counted(listener_->connections(), {"connection is", "connections are"}) + " asked to pause");
  is_draining_ = true;
  notify("STOPPING=1");
  say_draining();
  listener_->stop_listening();
  listener_->pause_all(kRestartAfter);
  drain_until_ = reactor_.now() + (has_service_manager() ? kDrainClients : kDrainAlone);
  after_round();
}

void Daemon::say_draining() {
  drain_said_at_ = reactor_.now();
  notify("STATUS=" + status_line() + "\n" + extend_timeout(kExtend));
}

void Daemon::finish_draining() {
  const Instant now = reactor_.now();
  const Duration patience = has_service_manager() ? kDrainDisk : kDrainAlone;
  if (!connections_are_gone_) {
    if (listener_->connections() > 0 && now < drain_until_) return;
    connections_are_gone_ = true;
    listener_->close_all();
    drain_until_ = now + patience;
  }
  store_->settle();
  const std::uint64_t moves = store_->moves();
  if (has_service_manager() && moves != std::exchange(drain_moves_, moves)) {
    drain_until_ = now + patience;
    if (now - drain_said_at_ >= kSayEvery) say_draining();
  }
  if (store_->is_at_rest() || now >= drain_until_) reactor_.stop();
}

// --- the turn ---

// What was appended in this round goes to the disk in one batch.
void Daemon::after_round() {
  if (!health_) return;
  if (is_draining_) finish_draining();
  store_->flush();
  health_->check(reactor_.now(), *store_);
  update_deadline();
}

void Daemon::update_deadline() {
  reactor_.deadlines().set(*this, std::min({store_->next_deadline(), health_->next_deadline(), certificate_said_at_,
                                            is_draining_ ? drain_until_ : kNever}));
}

void Daemon::on_deadline() {
  if (reactor_.now() >= certificate_said_at_) say_certificate();
  store_->handle_timeout();
  after_round();
}

Daemon::Outcome Daemon::run() {
  after_round();
  reactor_.run();
  const bool is_at_rest = store_->is_at_rest();
  const std::string how = is_at_rest ? "stopped; everything received is durable and delivered"
                                     : "stopped before everything was delivered; " + store_->who_has_the_rest();
  log_.write(is_at_rest ? Severity::info : Severity::warn,
             is_at_rest ? LogEvent::stopped : LogEvent::stopped_undelivered, how, {});
  for (const Answer& answer : drain_answers_) answer({0, how + "\n"});
  return {};
}

}  // namespace cproto
