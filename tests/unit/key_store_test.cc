#include "daemon/key_store.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/temporary_folder.h"

using namespace cproto;
using namespace cproto::test;

namespace {

void add(const std::string& path, const std::string& client) {
  KeyStore store(path);
  CHECK(store.open() == "");
  store.add(ClientKey(client, draw_secret()));
  CHECK(store.save() == "");
}

std::vector<std::string> clients(const std::string& path) {
  KeyStore store(path);
  CHECK(store.open() == "");
  std::vector<std::string> names;
  for (const ClientKey& key : store.keys()) names.push_back(key.client_id);
  return names;
}

}  // namespace

TEST_CASE("key store: what is added is there, and nobody else can read it") {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/etc/keys";
  CHECK(clients(path).empty());
  add(path, "web-1");
  add(path, "web-2");
  CHECK(clients(path) == std::vector<std::string>{"web-1", "web-2"});
  struct stat status {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0037) == 0);
}

TEST_CASE("key store: several at once lose no key") {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/etc/keys";
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&path, i] {
      KeyStore store(path);
      if (!store.open().empty()) return;
      store.add(ClientKey("web-" + std::to_string(i), draw_secret()));
      (void)store.save();
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(clients(path).size() == 8);
}

TEST_CASE("key store: a client's keys go, all of them or the older ones") {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/keys";
  for (const char* client : {"web-1", "web-2", "web-1"}) add(path, client);
  KeyStore store(path);
  REQUIRE(store.open() == "");
  const std::string last = store.keys().back().id;
  CHECK(store.remove("web-1", 1) == 1);
  REQUIRE(store.keys().size() == 2);
  CHECK(store.keys().back().id == last);
  CHECK(store.remove("web-1", 0) == 1);
  CHECK(store.remove("web-1", 0) == 0);
}

TEST_CASE("key store: a file with a mistake is left as it is") {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/keys";
  std::ofstream(path) << "web-1 nonsense\n";
  KeyStore store(path);
  CHECK(store.open() == path + ": line 1: the key is not 64 hexadecimal digits (0-9, a-f)");
}
