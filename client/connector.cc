#include "client/connector.h"

#include <netdb.h>

#include <algorithm>
#include <utility>

namespace cproto::client {

// Both are told to libuv and live until it answers; `connector` is null once nobody waits for the answer.
struct Connector::Lookup {
  uv_getaddrinfo_t request{};
  Connector* connector = nullptr;
  std::shared_ptr<int> count;
};

struct Connector::Attempt {
  uv_connect_t request{};
  Connector* connector = nullptr;
  Handle<uv_tcp_t> tcp;
};

namespace {

// What `host` is, if it is an address and no name: nobody is to be asked for it, and no thread is taken to do so.
addrinfo* numeric(const std::string& host, const std::string& port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  return getaddrinfo(host.c_str(), port.c_str(), &hints, &found) == 0 ? found : nullptr;
}

}  // namespace

Connector::Connector(uv_loop_t* loop, Owner* owner)
    : loop_(loop), owner_(owner), timer_(loop, [this] { on_timer(); }) {}

void Connector::start(const ServerAddress& server, std::size_t rotate) {
  rotate_ = rotate;
  unreachable_ = {};
  const std::string port = std::to_string(server.port);
  if (addrinfo* found = numeric(server.host, port)) {
    note_addresses(found);
    freeaddrinfo(found);
    return timer_.arm(0ns);
  }
  lookup_ = new Lookup;
  lookup_->connector = this;
  lookup_->count = lookups_;
  lookup_->request.data = lookup_;
  ++*lookups_;
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  const auto on_answer = [](uv_getaddrinfo_t* request, int error, addrinfo* found) {
    const std::unique_ptr<Lookup> lookup(static_cast<Lookup*>(request->data));
    --*lookup->count;
    if (lookup->connector != nullptr) lookup->connector->on_found(error, found);
    uv_freeaddrinfo(found);
  };
  const int error = uv_getaddrinfo(loop_, &lookup_->request, on_answer, server.host.c_str(), port.c_str(), &hints);
  if (error == 0) return;
  // The name is too long or not one at all; said from the loop, like everything else.
  delete std::exchange(lookup_, nullptr);
  --*lookups_;
  unreachable_.lookup_error = error == UV_EINVAL || error == UV_ENAMETOOLONG ? UV_EAI_NONAME : error;
  addresses_.clear();
  next_ = 0;
  timer_.arm(0ns);
}

void Connector::cancel() {
  timer_.stop();
  if (lookup_ != nullptr) {
    lookup_->connector = nullptr;
    uv_cancel(reinterpret_cast<uv_req_t*>(&lookup_->request));
    lookup_ = nullptr;
  }
  if (attempt_ != nullptr) abandon_attempt();
}

void Connector::on_found(int error, addrinfo* found) {
  lookup_ = nullptr;
  unreachable_.lookup_error = error;
  note_addresses(error == 0 ? found : nullptr);
  try_next();
}

void Connector::note_addresses(const addrinfo* found) {
  addresses_ = alternate_families(found);
  if (!addresses_.empty())
    std::rotate(addresses_.begin(), addresses_.begin() + static_cast<std::ptrdiff_t>(rotate_ % addresses_.size()),
                addresses_.end());
  next_ = 0;
}

void Connector::try_next() {
  if (next_ == addresses_.size()) {
    const Unreachable unreachable = std::move(unreachable_);
    return owner_->on_unreachable(unreachable);
  }
  attempt_ = new Attempt;
  attempt_->connector = this;
  attempt_->tcp.reset(new uv_tcp_t);
  attempt_->request.data = attempt_;
  uv_tcp_init(loop_, attempt_->tcp.get());
  timer_.arm(kConnectTimeout);
  const auto* address = reinterpret_cast<const sockaddr*>(&addresses_[next_]);
  const int error = uv_tcp_connect(&attempt_->request, attempt_->tcp.get(), address, on_connect);
  if (error == 0) return;
  delete std::exchange(attempt_, nullptr);
  note_failure(error);
  timer_.arm(0ns);
}

void Connector::on_connect(uv_connect_t* request, int error) {
  const std::unique_ptr<Attempt> attempt(static_cast<Attempt*>(request->data));
  Connector* self = attempt->connector;
  if (self == nullptr) return;
  self->attempt_ = nullptr;
  self->timer_.stop();
  if (error == 0) return self->owner_->on_connected(std::move(attempt->tcp), to_string(self->addresses_[self->next_]));
  self->note_failure(error);
  self->try_next();
}

// An address took too long; or none was even asked, and the way goes on from here.
void Connector::on_timer() {
  if (attempt_ != nullptr) {
    abandon_attempt();
    note_failure(UV_ETIMEDOUT);
  }
  try_next();
}

void Connector::abandon_attempt() {
  attempt_->connector = nullptr;
  std::exchange(attempt_, nullptr)->tcp.reset();
}

void Connector::note_failure(int error) { unreachable_.attempts.push_back({to_string(addresses_[next_++]), error}); }

}  // namespace cproto::client
