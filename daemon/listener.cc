#include "daemon/listener.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "config/address.h"
#include "config/wording.h"
#include "daemon/surroundings.h"

namespace cproto {

namespace {

constexpr int kBacklog = 4096;
// Who is refused, or makes room, comes back after so long.
constexpr Duration kComeBack = 5s;

std::string with_port(const std::string& host, std::uint16_t port) {
  const bool is_six = host.find(':') != std::string::npos;
  return (is_six ? "[" + host + "]:" : host + ":") + std::to_string(port);
}

std::string joined(const std::vector<std::string>& addresses) {
  std::string text;
  for (const std::string& address : addresses) text += (text.empty() ? "" : ", ") + address;
  return text;
}

std::vector<std::string> to_addresses(const std::vector<std::string>& hosts) {
  std::vector<std::string> addresses;
  for (const std::string& host : hosts) {
    if (host == "*") {
      addresses.insert(addresses.end(), {"0.0.0.0", "::"});
    } else {
      addresses.push_back(host == "localhost" ? "127.0.0.1" : host);
    }
  }
  return addresses;
}

struct LocalAddress {
  std::string host;
  std::uint16_t port = 0;
};

LocalAddress local_address(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {"?"};
  char name[64] = "?";
  uv_ip_name(reinterpret_cast<const sockaddr*>(&storage), name, sizeof name);
  const bool is_six = storage.ss_family == AF_INET6;
  return {name, ntohs(is_six ? reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port
                             : reinterpret_cast<const sockaddr_in*>(&storage)->sin_port)};
}

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

// nullopt if `host` is no address.
std::optional<SocketAddress> socket_address(const std::string& host, std::uint16_t port) {
  SocketAddress address;
  const bool is_six = host.find(':') != std::string::npos;
  auto* four = reinterpret_cast<sockaddr_in*>(&address.storage);
  auto* six = reinterpret_cast<sockaddr_in6*>(&address.storage);
  address.size = is_six ? sizeof *six : sizeof *four;
  const int error = is_six ? uv_ip6_addr(host.c_str(), port, six) : uv_ip4_addr(host.c_str(), port, four);
  if (error != 0) return std::nullopt;
  return address;
}

// Returns 0 or errno.
int bind_to(int fd, const SocketAddress& address) {
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // An address that does not exist yet (a VPN, DHCP) is bound all the same.
  ::setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof on);
  if (address.storage.ss_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  return ::bind(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.size) == 0 ? 0 : errno;
}

}  // namespace

Listener::Listener(ConnectionShared& shared, const ListenerOptions& options)
    : shared_(shared), options_(options), port_(options.port) {
  shared_.on_waiting = [this](Connection& connection) { waiting_.push_back(&connection); };
  shared_.on_opened = [this](Connection& connection) { handshakes_.erase(connection.serial()); };
  shared_.on_closing = [this](Connection& connection) { on_closing(connection); };
  shared_.on_gone = [this](Connection& connection) { on_gone(connection); };
}

Listener::~Listener() { stop_listening(); }

std::unique_ptr<Listener::Problem> Listener::open() {
  if (!options_.inherited.empty()) return open_inherited();
  const std::vector<std::string> hosts = to_addresses(options_.hosts);
  std::vector<std::string> bound;
  for (const std::string& host : hosts) {
    auto problem = open_one(host);
    // A host without IPv6 is no reason not to serve the others.
    if (problem && problem->error == EAFNOSUPPORT && hosts.size() > 1) {
      shared_.log.warn(LogEvent::listening, problem->sentence + "; going on without it");
      continue;
    }
    if (problem) {
      stop_listening();
      return problem;
    }
    bound.push_back(with_port(host, port_));
    is_open_to_others_ = is_open_to_others_ || !is_loopback(host);
  }
  addresses_ = joined(bound);
  return acceptors_.empty() ? std::make_unique<Problem>(Problem{EADDRNOTAVAIL, "no address to listen on"}) : nullptr;
}

std::unique_ptr<Listener::Problem> Listener::open_one(const std::string& host) {
  const std::string where = with_port(host, port_);
  const auto address = socket_address(host, port_);
  int error = address ? 0 : EINVAL;
  int fd = -1;
  if (address) {
    fd = ::socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    error = fd < 0 ? errno : bind_to(fd, *address);
  }
  if (error == 0) {
    const std::uint16_t port = local_address(fd).port;
    error = listen(fd);
    if (error == 0 && port_ == 0) port_ = port;
  } else if (fd >= 0) {
    ::close(fd);
  }
  if (error == 0) return nullptr;
  if (error == EADDRINUSE)
    return std::make_unique<Problem>(
        Problem{error, where + " is in use (another cprotod? see: ss -ltnp 'sport = :" + std::to_string(port_) + "')"});
  return std::make_unique<Problem>(Problem{error, where + ": " + std::strerror(error) + port_hint(error, port_)});
}

int Listener::listen(int fd) {
  auto acceptor = std::make_unique<Acceptor>(
      shared_.reactor, fd,
      Acceptor::Callbacks{[this](int taken) { on_taken(taken); }, [this](int error) { on_not_taken(error); }});
  if (::listen(fd, kBacklog) != 0) return errno;
  const int error = acceptor->start();
  if (error == 0) acceptors_.push_back(std::move(acceptor));
  return error;
}

// sd_listen_fds(3): bound and listening already.
std::unique_ptr<Listener::Problem> Listener::open_inherited() {
  std::vector<std::string> found;
  for (const int fd : options_.inherited) {
    const LocalAddress address = local_address(fd);
    if (const int error = listen(fd); error != 0) {
      stop_listening();
      return std::make_unique<Problem>(Problem{error, "inherited descriptor " + std::to_string(fd) +
                                                          " is no TCP socket to listen on: " + std::strerror(error) +
                                                          " (see ListenStream= in cprotod.socket)"});
    }
    found.push_back(with_port(address.host, address.port));
    port_ = address.port;
    is_open_to_others_ = is_open_to_others_ || !is_loopback(address.host);
  }
  addresses_ = joined(found);
  if (is_open_to_others_ && !options_.may_be_open) {
    stop_listening();
    return std::make_unique<Problem>(
        Problem{EINVAL, "inherited sockets listen on " + addresses_ +
                            ": other hosts could send without encryption; set up [tls], say [listen] insecure = "
                            "true, or change cprotod.socket"});
  }
  std::vector<std::string> wanted = to_addresses(options_.hosts);
  for (std::string& host : wanted) host = with_port(host, options_.port);
  if (!std::is_permutation(found.begin(), found.end(), wanted.begin(), wanted.end()))
    shared_.log.warn(LogEvent::sockets_differ, "listening on " + addresses_ +
                                                   ", as cprotod.socket says; [listen] says " + joined(wanted) +
                                                   ", which has no effect");
  return nullptr;
}

void Listener::on_taken(int fd) {
  auto owned = std::make_unique<Connection>(shared_, ++last_serial_);
  Connection& connection = *owned;
  connection.place = connections_.size();
  connections_.push_back(std::move(owned));
  ++open_;
  handshakes_.emplace(connection.serial(), &connection);
  const int error = connection.open(fd);
  const std::string host(connection.host());
  ++per_address_[host];
  if (error != 0) return connection.close();  // gone already
  if (const Limit limit = exceeded(host); limit != Limit::none) make_room(connection, limit);
}

void Listener::on_not_taken(int error) {
  ++shared_.counters.accept_failures;
  if (const auto more = failures_.note(shared_.reactor.now()))
    shared_.log.warn(LogEvent::few_descriptors, std::string("connections have to wait: ") + std::strerror(error) +
                                                    "; those that are there go on" + *more);
}

// Pre: the connection in question is counted already.
Listener::Limit Listener::exceeded(const std::string& host) const {
  const auto is_above = [](std::uint64_t count, std::uint64_t limit) { return limit > 0 && count > limit; };
  const ConnectionLimits& limits = options_.limits;
  if (is_above(per_address_.at(host), limits.per_address)) return Limit::per_address;
  if (is_above(open_, limits.all)) return Limit::all;
  if (is_above(open_, limits.descriptors)) return Limit::descriptors;
  if (is_above(handshakes_.size(), limits.handshakes)) return Limit::handshakes;
  return Limit::none;
}

void Listener::make_room(Connection& newest, Limit limit) {
  Connection* goes = oldest_handshake_of(newest.host());
  if (goes == &newest && limit != Limit::per_address) goes = handshakes_.begin()->second;
  const bool was_told = goes->refuse(Error::retry_after(ErrorCode::too_many_connections, kComeBack));
  if (was_told) say_refused(*goes, limit);
}

// Pre: there is one.
Connection* Listener::oldest_handshake_of(std::string_view host) const {
  return std::find_if(handshakes_.begin(), handshakes_.end(),
                      [&](const auto& one) { return one.second->host() == host; })
      ->second;
}

void Listener::say_refused(const Connection& connection, Limit limit) {
  const auto more = refusals_.note(shared_.reactor.now());
  if (!more) return;
  const ConnectionLimits& limits = options_.limits;
  const auto reached = [](const char* key, std::uint64_t value) { return std::string(key) + " = " + grouped(value); };
  std::string why;
  switch (limit) {
    case Limit::none: break;
    case Limit::all: why = reached("limits.connections", limits.all); break;
    case Limit::per_address: why = reached("limits.connections_per_address", limits.per_address); break;
    case Limit::handshakes: why = reached("limits.handshakes_pending", limits.handshakes); break;
    case Limit::descriptors:
      why = "there are descriptors for " + counted(limits.descriptors, {"connection", "connections"});
      break;
  }
  shared_.log.warn(LogEvent::too_many_connections,
                   std::string(connection.host()) + ": too many connections (" + why + "); refused" + *more,
                   {.peer = connection.host(), .error = error_name(ErrorCode::too_many_connections)});
}

void Listener::on_closing(Connection& connection) {
  --open_;
  handshakes_.erase(connection.serial());
  std::erase(waiting_, &connection);
  const auto it = per_address_.find(std::string(connection.host()));
  if (it != per_address_.end() && --it->second == 0) per_address_.erase(it);
}

// The last one takes its place.
void Listener::on_gone(const Connection& connection) {
  const std::size_t place = connection.place;
  std::swap(connections_[place], connections_.back());
  connections_[place]->place = place;
  connections_.pop_back();
  if (connections_.empty() && on_empty_) on_empty_();
}

void Listener::stop_listening() { acceptors_.clear(); }

void Listener::pause_all(Duration retry_after) {
  for (const auto& connection : connections_) connection->pause(retry_after);
}

void Listener::review() {
  for (const auto& connection : connections_) connection->review();
}

void Listener::close_all() {
  for (const auto& connection : connections_) connection->close();
}

void Listener::on_room() {
  for (Connection* connection : std::exchange(waiting_, {})) connection->on_room();
}

}  // namespace cproto
