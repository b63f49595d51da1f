#include "config/print.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>

#include "config/loader.h"
#include "config/schema.h"

namespace cproto {
namespace {

TEST_CASE("config: the printed defaults load as the defaults") {
  const LoadResult result = load_text(print(Config{}), "printed");
  CHECK(result.errors.empty());
  CHECK(result.config == Config{});
}

TEST_CASE("config: a printed configuration loads as the same one") {
  Config config;
  config.listen = {{"*"}, 0, true};
  config.store = {Engine::jetstream, "/srv/a \"quoted\" \\ path", 1u << 20};
  config.jetstream = {"tls://a.example,tls://b.example",
                      "/etc/nats/creds",
                      "/etc/nats/ca.pem",
                      "OTHER",
                      false,
                      3,
                      1u << 20,
                      std::chrono::hours(1),
                      1,
                      true};
  config.inbox = {"/srv/ünïcode", "staff"};
  config.session = {64,
                    1,
                    1'000'001,
                    std::chrono::milliseconds(1'501),
                    std::chrono::minutes(2),
                    std::chrono::milliseconds(0),
                    std::chrono::milliseconds(0),
                    UnknownSession::restart};
  config.limits = {2u << 20, 1u << 20, 0, 1, 2, 3, 4, 3u << 20, 5};
  config.log.level = LogLevel::error;
  const LoadResult result = load_text(print(config), "printed");
  CHECK(result.errors == std::vector<std::string>{});
  CHECK(result.config == config);
}

TEST_CASE("config: every key is printed") {
  const std::string text = print(Config{});
  for (const config::Key& key : config::keys()) {
    CAPTURE(key.path());
    CHECK(text.find("\n" + std::string(key.name) + " = ") != std::string::npos);
  }
}

}  // namespace
}  // namespace cproto
