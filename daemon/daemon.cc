#include "daemon/daemon.h"

#include <grp.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "config/address.h"
#include "daemon/exit_status.h"
#include "daemon/notify.h"
#include "proto/assert.h"

namespace cproto {

namespace {

constexpr std::size_t kReadSize = 1u << 20;
// Clients of a daemon that restarts come back so soon.
constexpr Duration kRestartAfter = 500ms;
// How long draining waits for clients, and then for the disk.
constexpr Duration kDrainClients = 5s;
constexpr Duration kDrainDisk = 30s;

Id128 draw_id() {
  Id128 id;
  CPROTO_ASSERT(::getrandom(id.data(), id.size(), 0) == static_cast<ssize_t>(id.size()));
  return id;
}

int status_of_errno(int error) {
  switch (error) {
    case EACCES:
    case EPERM: return exit_status::kNoPermission;
    case EIO: return exit_status::kIoError;
    default: return exit_status::kCannotCreate;
  }
}

int status_of_listening(int error) {
  return error == UV_EACCES || error == UV_EPERM ? exit_status::kNoPermission : exit_status::kOsError;
}

// Group of the inbox, and set-group-id, so that all below it is readable for the same people.
void set_inbox_group(const std::string& inbox, const std::string& group, Log& log) {
  const struct group* entry = ::getgrnam(group.c_str());
  if (entry == nullptr) return log.warn("inbox.group: there is no group " + group);
  if (::chown(inbox.c_str(), static_cast<uid_t>(-1), entry->gr_gid) < 0)
    return log.warn(inbox + " cannot be given to group " + group + " (" + std::strerror(errno) + ")");
  ::chmod(inbox.c_str(), 02750);
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

Daemon::Daemon(const Config& config, Log& log)
    : config_(config), log_(log), disk_(reactor_.loop(), [this] { after_round(); }) {
  world_ = {[this] { return reactor_.now(); }, draw_id};
}

Daemon::~Daemon() {
  reactor_.deadlines().remove(*this);
  if (listener_) {
    listener_->stop_listening();
    listener_->close_all();
  }
  if (signals_started_)
    for (uv_signal_t& signal : signals_) uv_close(reinterpret_cast<uv_handle_t*>(&signal), nullptr);
  reactor_.set_after_round({});
  store_.reset();
  uv_run(reactor_.loop(), UV_RUN_NOWAIT);
}

Daemon::Outcome Daemon::open() {
  ::signal(SIGPIPE, SIG_IGN);  // a closed socket or log is an error of the write, not the end of the program
  raise_descriptor_limit();
  ::umask(027);
  if (Outcome outcome = open_store(); outcome.status != 0) return outcome;
  if (Outcome outcome = open_listener(); outcome.status != 0) return outcome;
  start_signals();
  reactor_.set_after_round([this] { after_round(); });
  const bool is_loopback_only = std::all_of(config_.listen.host.begin(), config_.listen.host.end(),
                                            [](const std::string& host) { return is_loopback(host); });
  log_.info("listening on " + listener_->addresses() +
            (is_loopback_only ? "; other hosts can't reach it (see [listen] in /etc/cproto.toml)" : ""));
  if (!is_loopback_only) log_.warn("listen.insecure: other hosts send unencrypted, and the name they give is believed");
  notify("READY=1\nSTATUS=listening on " + listener_->addresses());
  return {};
}

Daemon::Outcome Daemon::open_store() {
  const std::string& directory = config_.store.directory;
  if (const int error = lock_.acquire(directory); error != 0) {
    if (error == EWOULDBLOCK)
      return {exit_status::kTemporaryFailure, "another cprotod (pid " + lock_.holder() + ") uses " + directory};
    return {status_of_errno(error), directory + " cannot be used: " + std::strerror(error)};
  }
  StoreOptions options;
  options.directory = directory;
  options.inbox = config_.inbox.directory;
  options.segment_size = config_.store.segment_size;
  options.registry.max_packet_size = static_cast<std::uint32_t>(config_.session.max_packet_size);
  options.registry.window_size = config_.session.window_size;
  options.registry.restart_unknown = config_.session.unknown == UnknownSession::restart;
  options.registry.message_size_max = config_.limits.message_size;
  options.registry.clients_max = config_.limits.clients;
  options.registry.channels_per_client_max = config_.limits.channels_per_client;
  auto opened = Store::open(disk_, options, world_, log_);
  if (const StoreProblem* problem = std::get_if<StoreProblem>(&opened))
    return {problem->is_newer ? exit_status::kConfig : status_of_errno(problem->error), problem->sentence};
  store_ = std::move(std::get<std::unique_ptr<Store>>(opened));
  set_inbox_group(options.inbox.empty() ? directory + "/inbox" : options.inbox, config_.inbox.group, log_);
  return {};
}

Daemon::Outcome Daemon::open_listener() {
  ServerOptions session;
  session.handshake_timeout = config_.session.handshake_timeout;
  session.keep_alive = config_.session.keep_alive;
  shared_ = std::make_unique<ConnectionShared>(ConnectionShared{
      reactor_, *store_, log_, counters_, world_, session, config_.session.window_bytes, Bytes(kReadSize), {}, {}});
  listener_ = std::make_unique<Listener>(
      *shared_, ListenerOptions{config_.listen.host, config_.listen.port, config_.limits.connections,
                                config_.limits.connections_per_address});
  if (const auto problem = listener_->open()) return {status_of_listening(problem->error), problem->sentence};
  store_->set_on_room([this] { listener_->on_room(); });
  return {};
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

void Daemon::on_signal(int signal) {
  if (signal == SIGHUP) {
    if (on_reload_) on_reload_();
    return;
  }
  if (is_draining_) return reactor_.stop();  // said twice: at once
  drain();
}

// Everything received becomes durable and delivered; clients are told when to come back.
void Daemon::drain() {
  log_.info("stopping: " + std::to_string(listener_->connections()) + " connections are asked to pause");
  notify("STOPPING=1");
  is_draining_ = true;
  listener_->stop_listening();
  listener_->pause_all(kRestartAfter);
  drain_until_ = reactor_.now() + kDrainClients;
  after_round();
}

void Daemon::finish_draining() {
  const Instant now = reactor_.now();
  if (!connections_are_gone_) {
    if (listener_->connections() > 0 && now < drain_until_) return;
    connections_are_gone_ = true;
    listener_->close_all();
    drain_until_ = now + kDrainDisk;
  }
  store_->settle();
  if (store_->is_at_rest() || now >= drain_until_) reactor_.stop();
}

// What was appended in this round goes to the disk in one batch.
void Daemon::after_round() {
  if (!store_) return;
  if (is_draining_) finish_draining();
  store_->flush();
  update_deadline();
}

void Daemon::update_deadline() {
  reactor_.deadlines().set(*this, std::min(store_->next_deadline(), is_draining_ ? drain_until_ : kNever));
}

void Daemon::on_deadline() {
  store_->handle_timeout();
  after_round();
}

Daemon::Outcome Daemon::run() {
  update_deadline();
  reactor_.run();
  if (store_->is_at_rest()) {
    log_.info("stopped; everything received is durable and delivered");
  } else {
    log_.warn("stopped before everything was delivered; the journal has it");
  }
  return {};
}

}  // namespace cproto
