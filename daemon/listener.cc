#include "daemon/listener.h"

#include <netinet/in.h>

#include <algorithm>
#include <utility>

#include "config/address.h"
#include "daemon/surroundings.h"

namespace cproto {

namespace {

constexpr int kBacklog = 4096;
constexpr Duration kSayAgain = 60s;  // repeats are counted, not repeated
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

LocalAddress local_address(const uv_tcp_t& tcp) {
  sockaddr_storage storage{};
  int size = sizeof storage;
  if (uv_tcp_getsockname(&tcp, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {"?"};
  char name[64] = "?";
  uv_ip_name(reinterpret_cast<const sockaddr*>(&storage), name, sizeof name);
  const bool is_six = storage.ss_family == AF_INET6;
  return {name, ntohs(is_six ? reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port
                             : reinterpret_cast<const sockaddr_in*>(&storage)->sin_port)};
}

}  // namespace

struct Listener::Socket {
  uv_tcp_t tcp{};
  Listener* owner = nullptr;
  static void close(Socket* socket) {
    uv_close(reinterpret_cast<uv_handle_t*>(&socket->tcp),
             [](uv_handle_t* handle) { delete static_cast<Socket*>(handle->data); });
  }
};

Listener::Listener(ConnectionShared& shared, const ListenerOptions& options)
    : shared_(shared), options_(options), port_(options.port) {
  shared_.on_waiting = [this](Connection& connection) { waiting_.push_back(&connection); };
  shared_.on_gone = [this](Connection& connection) { on_gone(connection); };
}

Listener::~Listener() { stop_listening(); }

void Listener::set_limits(std::uint32_t connections_max, std::uint32_t connections_per_address_max) {
  options_.connections_max = connections_max;
  options_.connections_per_address_max = connections_per_address_max;
}

std::unique_ptr<Listener::Problem> Listener::open() {
  if (!options_.inherited.empty()) return open_inherited();
  const std::vector<std::string> hosts = to_addresses(options_.hosts);
  std::vector<std::string> bound;
  for (const std::string& host : hosts) {
    auto problem = open_one(host);
    // A host without IPv6 is no reason not to serve the others.
    if (problem && problem->error == UV_EAFNOSUPPORT && hosts.size() > 1) {
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
  return sockets_.empty() ? std::make_unique<Problem>(Problem{UV_EADDRNOTAVAIL, "no address to listen on"}) : nullptr;
}

std::unique_ptr<Listener::Problem> Listener::open_one(const std::string& host) {
  sockaddr_storage address{};
  const bool is_six = host.find(':') != std::string::npos;
  int error = is_six ? uv_ip6_addr(host.c_str(), port_, reinterpret_cast<sockaddr_in6*>(&address))
                     : uv_ip4_addr(host.c_str(), port_, reinterpret_cast<sockaddr_in*>(&address));
  auto* socket = new Socket;
  socket->owner = this;
  const int init = uv_tcp_init_ex(shared_.reactor.loop(), &socket->tcp, is_six ? AF_INET6 : AF_INET);
  socket->tcp.data = socket;
  if (init != 0) {
    delete socket;
    return std::make_unique<Problem>(Problem{init, with_port(host, port_) + ": " + uv_strerror(init)});
  }
  uv_os_fd_t fd = -1;
  uv_fileno(reinterpret_cast<uv_handle_t*>(&socket->tcp), &fd);
  const int on = 1;
  // An address that does not exist yet (a VPN, DHCP) is bound all the same.
  setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof on);
  if (error == 0)
    error = uv_tcp_bind(&socket->tcp, reinterpret_cast<sockaddr*>(&address), is_six ? UV_TCP_IPV6ONLY : 0);
  if (error == 0) error = listen(socket);
  if (error != 0) {
    Socket::close(socket);
    const std::string where = with_port(host, port_);
    if (error == UV_EADDRINUSE)
      return std::make_unique<Problem>(Problem{
          error, where + " is in use (another cprotod? see: ss -ltnp 'sport = :" + std::to_string(port_) + "')"});
    return std::make_unique<Problem>(Problem{error, where + ": " + uv_strerror(error) + port_hint(-error, port_)});
  }
  sockets_.push_back(socket);
  if (port_ == 0) port_ = local_address(socket->tcp).port;
  return nullptr;
}

int Listener::listen(Socket* socket) {
  const auto connected = [](uv_stream_t* stream, int status) {
    static_cast<Socket*>(stream->data)->owner->on_connection(stream, status);
  };
  return uv_listen(reinterpret_cast<uv_stream_t*>(&socket->tcp), kBacklog, connected);
}

// sd_listen_fds(3): bound and listening already.
std::unique_ptr<Listener::Problem> Listener::open_inherited() {
  std::vector<std::string> found;
  for (const int fd : options_.inherited) {
    auto* socket = new Socket;
    socket->owner = this;
    uv_tcp_init(shared_.reactor.loop(), &socket->tcp);
    socket->tcp.data = socket;
    int error = uv_tcp_open(&socket->tcp, fd);
    if (error == 0) error = listen(socket);
    if (error != 0) {
      Socket::close(socket);
      stop_listening();
      return std::make_unique<Problem>(Problem{error, "inherited descriptor " + std::to_string(fd) +
                                                          " is no TCP socket to listen on: " + uv_strerror(error) +
                                                          " (see ListenStream= in cprotod.socket)"});
    }
    sockets_.push_back(socket);
    const LocalAddress address = local_address(socket->tcp);
    found.push_back(with_port(address.host, address.port));
    port_ = address.port;
    is_open_to_others_ = is_open_to_others_ || !is_loopback(address.host);
  }
  addresses_ = joined(found);
  if (is_open_to_others_ && !options_.may_be_open) {
    stop_listening();
    return std::make_unique<Problem>(
        Problem{UV_EINVAL, "inherited sockets listen on " + addresses_ +
                               ": other hosts could send without encryption; say [listen] insecure = true, or change "
                               "cprotod.socket"});
  }
  std::vector<std::string> wanted = to_addresses(options_.hosts);
  for (std::string& host : wanted) host = with_port(host, options_.port);
  if (!std::is_permutation(found.begin(), found.end(), wanted.begin(), wanted.end()))
    shared_.log.warn(LogEvent::sockets_differ, "listening on " + addresses_ +
                                                   ", as cprotod.socket says; [listen] says " + joined(wanted) +
                                                   ", which has no effect");
  return nullptr;
}

// Pre: the connection in question is counted already.
bool Listener::is_too_many(const std::string& host) const {
  if (options_.connections_max > 0 && connections_.size() > options_.connections_max) return true;
  const auto it = per_address_.find(host);
  return options_.connections_per_address_max > 0 && it != per_address_.end() &&
         it->second > options_.connections_per_address_max;
}

void Listener::on_connection(uv_stream_t* listener, int status) {
  if (status < 0)
    return shared_.log.warn(LogEvent::few_descriptors,
                            std::string("a connection could not be taken: ") + uv_strerror(status));
  auto owned = std::make_unique<Connection>(shared_);
  Connection& connection = *owned;
  connections_.emplace(&connection, std::move(owned));
  if (const int error = connection.accept(listener); error != 0) {
    shared_.log.warn(LogEvent::few_descriptors, std::string("a connection could not be taken: ") + uv_strerror(error));
    return connection.close();
  }
  ++per_address_[connection.host()];
  if (!is_too_many(connection.host())) return;
  ++refused_;
  ++shared_.counters.refused[ErrorCode::too_many_connections];
  const Instant now = shared_.reactor.now();
  if (now - kSayAgain >= refusal_said_at_) {
    shared_.log.warn(LogEvent::too_many_connections,
                     connection.host() + ": too many connections; refused (" + std::to_string(refused_) + " so far)",
                     {.peer = connection.host(), .error = error_name(ErrorCode::too_many_connections)});
    refusal_said_at_ = now;
  }
  connection.refuse(Error::retry_after(ErrorCode::too_many_connections, kComeBack));
}

void Listener::on_gone(Connection& connection) {
  std::erase(waiting_, &connection);
  const auto it = per_address_.find(connection.host());
  if (it != per_address_.end() && --it->second == 0) per_address_.erase(it);
  connections_.erase(&connection);
  if (connections_.empty() && on_empty_) on_empty_();
}

void Listener::stop_listening() {
  for (Socket* socket : std::exchange(sockets_, {})) Socket::close(socket);
}

void Listener::pause_all(Duration retry_after) {
  for (auto& [connection, owned] : connections_) connection->pause(retry_after);
}

void Listener::close_all() {
  for (auto& [connection, owned] : connections_) connection->close();
}

void Listener::on_room() {
  for (Connection* connection : std::exchange(waiting_, {})) connection->on_room();
}

}  // namespace cproto
