#include "tests/simulation/client.h"

#include "tests/simulation/client_node.h"
#include "tests/simulation/command_node.h"

namespace cproto::sim {

std::unique_ptr<Client> make_client(World& world, unsigned number, const ClientPlan& plan) {
  const bool is_command = plan.link.transport == Transport::stream && world.random.chance(75);
  if (is_command) return std::make_unique<CommandNode>(world, number, plan);
  return std::make_unique<ClientNode>(world, number, plan);
}

}  // namespace cproto::sim
