// `stream`: a cprotod before a stream of NATS JetStream, beside a bare asynchronous publisher of libnats with the same
// messages and the same server, in turns.
#include <arpa/inet.h>
#include <nats/nats.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include "tests/bench/clock.h"
#include "tests/bench/daemon_process.h"
#include "tests/bench/load.h"
#include "tests/bench/payload.h"
#include "tests/bench/place.h"
#include "tests/bench/works.h"

namespace cproto::bench {

namespace {

constexpr std::uint64_t kSmallCount = 1'000'000;
constexpr std::uint64_t kLargeCount = 200'000;
constexpr std::size_t kLargeSize = 4096;
constexpr std::int64_t kWindow = 4096;  // publications of the bare publisher that are not acknowledged
constexpr Duration kStartTimeout = 10s;

sockaddr_storage loopback(const std::string& address) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(static_cast<std::uint16_t>(std::strtoul(address.c_str() + address.rfind(':') + 1, nullptr, 10)));
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_storage storage{};
  std::memcpy(&storage, &in, sizeof in);
  return storage;
}

// A nats-server with JetStream in `directory`, and a connection to it for the bare publisher.
class NatsServer {
 public:
  static std::unique_ptr<NatsServer> start(const std::string& program, const std::string& directory, Trouble& trouble) {
    std::unique_ptr<NatsServer> server(new NatsServer);
    server->url_ = "nats://127.0.0.1:" + std::to_string(20'000 + ::getpid() % 10'000);
    std::ofstream(directory + "/nats.conf")
        << "listen: \"" << server->url_.substr(7) << "\"\njetstream { store_dir: \"" << directory << "/js\" }\n";
    server->child_ = Child::start({program, "-c", directory + "/nats.conf"}, directory + "/nats.log");
    for (const Instant begin = now(); now() - begin < kStartTimeout && !server->child_->has_ended();) {
      if (server->connect()) return server;
      std::this_thread::sleep_for(50ms);
    }
    trouble = program + " does not start; " + directory + "/nats.log says why";
    return nullptr;
  }
  ~NatsServer() {
    jsCtx_Destroy(context_);
    natsConnection_Destroy(connection_);
  }

  const std::string& url() const { return url_; }

  // Messages a second, until all are acknowledged; 0: it failed.
  double publish(std::uint64_t count, ByteView payload) {
    const Instant begin = now();
    for (std::uint64_t i = 0; i < count; ++i)
      if (js_PublishAsync(context_, "bare.messages", payload.data(), static_cast<int>(payload.size()), nullptr) !=
          NATS_OK)
        return 0;
    jsPubOptions options;
    jsPubOptions_Init(&options);
    options.MaxWait = 60'000;
    if (js_PublishAsyncComplete(context_, &options) != NATS_OK) return 0;
    return static_cast<double>(count) / seconds(now() - begin);
  }

  // So that neither is slower for what is there already.
  void empty() {
    for (const char* name : {"bare", "cproto"}) js_PurgeStream(context_, name, nullptr, nullptr);
  }

 private:
  bool connect() {
    if (connection_ == nullptr && natsConnection_ConnectTo(&connection_, url_.c_str()) != NATS_OK) return false;
    jsOptions options;
    jsOptions_Init(&options);
    options.PublishAsync.MaxPending = kWindow;
    if (context_ == nullptr && natsConnection_JetStream(&context_, connection_, &options) != NATS_OK) return false;
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    const char* subjects[] = {"bare.>"};
    config.Name = "bare";
    config.Subjects = subjects;
    config.SubjectsLen = 1;
    config.Storage = js_FileStorage;
    return js_AddStream(nullptr, context_, &config, nullptr, nullptr) == NATS_OK;
  }

  std::string url_;
  std::unique_ptr<Child> child_;
  natsConnection* connection_ = nullptr;
  jsCtx* context_ = nullptr;
};

Trouble measure_size(Benchmark& benchmark, NatsServer& server, const std::string& key, const LoadOptions& load,
                     Section& section) {
  server.empty();
  benchmark.wait_until_quiet();
  const LoadResult result = run_load(load);
  if (!result.trouble.empty()) return result.trouble;
  server.empty();
  benchmark.wait_until_quiet();
  const double bare = server.publish(load.count, load.payload);
  if (bare == 0) return "the bare publisher failed";
  const double rate = static_cast<double>(load.count) / seconds(result.lasted);
  const std::string size = std::to_string(load.payload.size()) + " bytes";
  section.add(key + "_messages_per_second", "cproto, " + size + ", messages/s", 0, rate);
  section.add(key + "_bare_messages_per_second", "bare publisher, " + size + ", messages/s", 0, bare);
  section.add(key + "_ratio", "cproto : bare publisher, " + size, 2, rate / bare);
  return {};
}

}  // namespace

Trouble measure_stream(Benchmark& benchmark) {
  const std::string& directory = benchmark.target().directory;
  const auto place = TemporaryDirectory::make(directory);
  if (place == nullptr) return trouble_with(directory);
  const char* program = std::getenv("CPROTO_NATS_SERVER");
  if (program == nullptr) {
    benchmark.add_section("stream", "not measured: eval \"$(scripts/tools nats-server)\" fetches a server");
    return {};
  }
  Trouble trouble;
  const auto server = NatsServer::start(program, place->path(), trouble);
  if (server == nullptr) return trouble;
  const auto daemon = DaemonProcess::start(place->path(), {.stream = server->url()}, trouble);
  if (daemon == nullptr) return trouble;
  const Bytes large_payload = make_payload(kLargeSize);
  LoadOptions small = benchmark.load_options(OperationMode::burst, benchmark.count(kSmallCount));
  small.server = loopback(daemon->address());
  small.server_pid = daemon->pid();
  LoadOptions large = small;
  large.count = benchmark.count(kLargeCount);
  large.payload = large_payload;
  Section& section = benchmark.add_section(
      "stream", "messages of one session into a stream of one server, beside a bare publisher of libnats with " +
                    std::to_string(kWindow) + " in flight");
  for (std::size_t i = 0; i <= benchmark.options().runs; ++i) {
    if (i == 1) section.figures.clear();  // the first is not counted
    for (const auto& [key, load] : {std::pair("small", &small), std::pair("large", &large)})
      if (trouble = measure_size(benchmark, *server, key, *load, section); !trouble.empty()) return trouble;
  }
  return {};
}

}  // namespace cproto::bench
