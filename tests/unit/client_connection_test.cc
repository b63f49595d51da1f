#include "client/connection.h"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>

#include "client/connector.h"
#include "client/signals.h"

using namespace cproto;
using namespace cproto::client;

namespace {

// A listening socket of the kernel's: connections are complete without anybody accepting them.
class Listener {
 public:
  Listener() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(bind(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(listen(fd_, 4) == 0);
    REQUIRE(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
  }
  ~Listener() { stop(); }
  void stop() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  int take() const { return accept(fd_, nullptr, nullptr); }
  std::uint16_t port() const { return port_; }

 private:
  int fd_ = socket(AF_INET, SOCK_STREAM, 0);
  std::uint16_t port_ = 0;
};

class Rig final : public Connector::Owner, public Connection::Owner {
 public:
  Rig() {
    ignore_broken_pipes();  // as the program does: here the other side closes first
    uv_loop_init(&loop_);
  }
  ~Rig() {
    connection.reset();
    connector.reset();
    uv_run(&loop_, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop_) == 0);
  }
  void connect(const std::string& host, std::uint16_t port) {
    connector = std::make_unique<Connector>(&loop_, this);
    connector->start({host, port}, 0);
    uv_run(&loop_, UV_RUN_DEFAULT);
  }
  void run_until_gone() {
    while (!gone) uv_run(&loop_, UV_RUN_ONCE);
  }
  uv_loop_t* loop() { return &loop_; }

  std::unique_ptr<Connector> connector;
  std::unique_ptr<Connection> connection;
  std::string address;
  std::optional<Unreachable> unreachable;
  std::string heard;
  std::optional<std::string> gone;

 private:
  void on_connected(Handle<uv_tcp_t> tcp, const std::string& where) override {
    address = where;
    connection = std::make_unique<Connection>(std::move(tcp), nullptr, "");
    connection->start(this);
    uv_stop(&loop_);
  }
  void on_unreachable(const Unreachable& why) override { unreachable = why; }
  void on_bytes(ByteView bytes) override { heard += as_text(bytes); }
  void on_writable() override {}
  void on_gone(const std::string& reason, const TlsTrouble&) override {
    gone = reason;
    connection.reset();
  }

  uv_loop_t loop_;
};

}  // namespace

TEST_CASE("connector: an address that listens is connected to") {
  const Listener listener;
  Rig rig;
  rig.connect("127.0.0.1", listener.port());
  REQUIRE(rig.connection);
  CHECK(rig.address == "127.0.0.1");
  CHECK_FALSE(rig.connection->set_congestion("system").name.empty());
}

TEST_CASE("connector: one that does not is told with the address and the reason") {
  Listener listener;
  listener.stop();
  Rig rig;
  rig.connect("127.0.0.1", listener.port());
  REQUIRE(rig.unreachable);
  REQUIRE(rig.unreachable->attempts.size() == 1);
  CHECK(rig.unreachable->attempts[0].address == "127.0.0.1");
  CHECK(rig.unreachable->attempts[0].error == UV_ECONNREFUSED);
}

TEST_CASE("connector: what can be no name is an unknown host, and is told from the loop like all else") {
  Rig rig;
  rig.connect(std::string(300, 'x'), 1);
  REQUIRE(rig.unreachable);
  CHECK(rig.unreachable->is_unknown_host());
}

TEST_CASE("connector: after cancel nothing comes") {
  const Listener listener;
  Rig rig;
  rig.connector = std::make_unique<Connector>(rig.loop(), &rig);
  rig.connector->start({"127.0.0.1", listener.port()}, 0);
  rig.connector->cancel();
  uv_run(rig.loop(), UV_RUN_DEFAULT);
  CHECK_FALSE(rig.connection);
  CHECK_FALSE(rig.unreachable);
  CHECK_FALSE(rig.connector->has_lookup_left());
}

TEST_CASE("connection: bytes go both ways, and finish closes behind the last one") {
  const Listener listener;
  Rig rig;
  rig.connect("127.0.0.1", listener.port());
  REQUIRE(rig.connection);
  const int peer = listener.take();
  append(rig.connection->write_buffer(), as_bytes("hello"));
  rig.connection->write();
  REQUIRE(write(peer, "there", 5) == 5);
  while (rig.heard.size() < 5) uv_run(rig.loop(), UV_RUN_ONCE);
  CHECK(rig.heard == "there");
  rig.connection->finish();
  rig.run_until_gone();
  CHECK(rig.gone == "");
  char bytes[16];
  CHECK(read(peer, bytes, sizeof bytes) == 5);
  CHECK(read(peer, bytes, sizeof bytes) == 0);
  close(peer);
}

TEST_CASE("connection: a peer that reads slowly holds the next write, and one that never reads not the end") {
  const Listener listener;
  Rig rig;
  rig.connect("127.0.0.1", listener.port());
  REQUIRE(rig.connection);
  for (int i = 0; i < 1000 && rig.connection->can_write(); ++i) {
    rig.connection->write_buffer().assign(256 * 1024, 'x');
    rig.connection->write();
  }
  CHECK_FALSE(rig.connection->can_write());
  rig.connection->finish();
  rig.run_until_gone();
  CHECK(rig.gone == "");
}

TEST_CASE("connection: a server's last words are heard although our bytes fail") {
  const Listener listener;
  Rig rig;
  rig.connect("127.0.0.1", listener.port());
  REQUIRE(rig.connection);
  const int peer = listener.take();
  REQUIRE(write(peer, "no", 2) == 2);
  close(peer);
  for (int i = 0; i < 100 && rig.connection && rig.connection->can_write(); ++i) {
    rig.connection->write_buffer().assign(1000, 'x');
    rig.connection->write();
    usleep(1000);
  }
  rig.run_until_gone();
  CHECK(rig.heard == "no");
  CHECK_FALSE(rig.gone->empty());
}

TEST_CASE("connection: deleted in the middle of a write it leaves nothing behind") {
  const Listener listener;
  Rig rig;
  rig.connect("127.0.0.1", listener.port());
  REQUIRE(rig.connection);
  for (int i = 0; i < 1000 && rig.connection->can_write(); ++i) {
    rig.connection->write_buffer().assign(256 * 1024, 'x');
    rig.connection->write();
  }
  rig.connection.reset();
  CHECK_FALSE(rig.gone);
}
