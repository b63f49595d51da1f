// What an operator can ask of a running daemon (cprotoctl(1)): one request, one answer. Knows the daemon's parts, not
// the socket the request came over.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "daemon/log.h"
#include "daemon/reports.h"

namespace cproto {

struct Request {
  std::vector<std::string> words;  // "--json", "sessions", "web-1"
  std::uint32_t user = 0;          // who asks
};

struct Reply {
  int status = 0;  // cprotoctl's exit status
  std::string text;
};

// May be called later, once.
using Answer = std::function<void(const Reply&)>;

class Operator {
 public:
  struct Hooks {
    std::function<DaemonView()> view;
    std::function<Reply()> reload;
    std::function<void(Answer)> drain;  // answers when everything is durable and delivered
  };
  Operator(Store& store, Log& log, Hooks hooks) : store_(store), log_(log), hooks_(std::move(hooks)) {}

  void handle(const Request& request, const Answer& answer);

 private:
  struct Words;
  Reply kick(const Request& request, const std::string& whom);
  Reply forget(const Request& request, const std::string& session);
  void verify(const Answer& answer);

  Store& store_;
  Log& log_;
  Hooks hooks_;
  bool is_verifying_ = false;  // one at a time: its reading must leave the pool's threads to the journal
};

}  // namespace cproto
