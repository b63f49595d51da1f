// One client of a run, as the world sees it.
#pragma once

#include <memory>
#include <string>

#include "tests/simulation/plan.h"

namespace cproto::sim {

class World;

class Client {
 public:
  virtual ~Client() = default;
  // It has nothing left to do.
  virtual bool is_done() const = 0;
  virtual bool renames_logs() const = 0;
  virtual std::string describe() const = 0;
  // From here on nothing that is its own goes wrong.
  virtual void heal() = 0;
};

// Most are cproto-send as it is; the others speak the protocol in ways that it does not, and over datagrams.
std::unique_ptr<Client> make_client(World& world, unsigned number, const ClientPlan& plan);

}  // namespace cproto::sim
