#include "tests/bench/load.h"

#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <memory>

#include "tests/bench/clock.h"
#include "tests/bench/load_connection.h"
#include "tests/bench/memory.h"

namespace cproto::bench {

namespace {

// Only acknowledgements come this way.
constexpr std::size_t kReadSize = 64 * 1024;
// So many connections are begun at once: a queue of them that is too long is not what is measured.
constexpr std::size_t kHandshakesMax = 200;
// What traffic made is given back by then, and what it left to do is done.
constexpr Duration kSettle = 20s;

class Load final : LoadConnection::Owner {
 public:
  explicit Load(const LoadOptions& options) : options_(options), read_buffer_(kReadSize) {
    if (is_timed()) result_.round_trips.reserve(options.count);
  }

  LoadResult run() {
    uv_loop_init(&loop_);
    const LoadConnection::Shared shared{
        &loop_, *this, options_.payload, read_buffer_, options_.mode == OperationMode::step_by_step, is_timed()};
    for (std::size_t i = 0; i < options_.connections; ++i)
      connections_.push_back(std::make_unique<LoadConnection>(shared, offer(i)));
    if (options_.hold > Duration{0}) memory_before_ = static_cast<std::int64_t>(resident_bytes(options_.server_pid));
    for (std::size_t i = 0; i < std::min(kHandshakesMax, connections_.size()); ++i) connect_next();
    uv_run(&loop_, UV_RUN_DEFAULT);
    if (timer_.data != nullptr) uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);
    uv_loop_close(&loop_);
    for (const auto& connection : connections_)
      result_.acknowledgements = std::max(result_.acknowledgements, connection->acknowledgements());
    return std::move(result_);
  }

 private:
  Syn offer(std::size_t index) const {
    Syn offer;
    offer.mode = options_.mode;
    offer.max_packet_size = options_.packet;
    offer.window_size = options_.window;
    offer.attempt = 0;
    offer.client_id = "bench-" + std::to_string(index);
    offer.software = "cproto-bench " CPROTO_VERSION;
    return offer;
  }

  bool is_timed() const { return options_.is_timed || options_.mode == OperationMode::step_by_step; }

  void connect_next() {
    if (connected_ < connections_.size()) connections_[connected_++]->connect(options_.server);
  }

  // The clock starts when the last connection is there.
  void on_ready(const SynAck& terms) override {
    result_.terms = terms;
    if (++ready_ == connections_.size()) return later(Duration{0}, [](Load& self) { self.begin(); });
    connect_next();
  }

  void begin() {
    result_.client_cpu = cpu_seconds(getpid());
    result_.server_cpu = cpu_seconds(options_.server_pid);
    result_.begin = now();
    const std::size_t count = connections_.size();
    for (std::size_t i = 0; i < count; ++i)
      connections_[i]->begin(options_.count / count + (i < options_.count % count ? 1 : 0));
  }

  void on_round_trip(Duration lasted) override { result_.round_trips.push_back(lasted); }

  void on_all_durable() override {
    if (++durable_ < connections_.size()) return;
    result_.lasted = now() - result_.begin;
    result_.client_cpu = cpu_seconds(getpid()) - result_.client_cpu;
    result_.server_cpu = cpu_seconds(options_.server_pid) - result_.server_cpu;
    if (options_.hold > Duration{0}) return later(std::min(kSettle, options_.hold), [](Load& self) { self.rest(); });
    later(Duration{0}, [](Load& self) { self.end(); });
  }

  void rest() {
    idle_cpu_before_ = cpu_seconds(options_.server_pid);
    later(options_.hold, [](Load& self) {
      self.result_.idle_cpu = cpu_seconds(self.options_.server_pid) - self.idle_cpu_before_;
      self.result_.idle_bytes =
          static_cast<std::int64_t>(resident_bytes(self.options_.server_pid)) - self.memory_before_;
      self.later(Duration{0}, [](Load& load) { load.end(); });
    });
  }

  void end() {
    for (const auto& connection : connections_) connection->end();
  }

  void on_trouble(const std::string& what) override {
    if (result_.trouble.empty()) result_.trouble = what;
    for (const auto& connection : connections_) connection->close();
    if (timer_.data != nullptr) uv_timer_stop(&timer_);
  }

  // A session is given one input at a time: what an event of one leads to happens outside its turn.
  void later(Duration delay, void (*what)(Load&)) {
    what_next_ = what;
    if (timer_.data == nullptr) uv_timer_init(&loop_, &timer_);
    timer_.data = this;
    const auto go = [](uv_timer_t* timer) {
      auto* self = static_cast<Load*>(timer->data);
      self->what_next_(*self);
    };
    uv_timer_start(&timer_, go,
                   static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(delay).count()), 0);
  }

  const LoadOptions& options_;
  Bytes read_buffer_;
  uv_loop_t loop_{};
  uv_timer_t timer_{};
  void (*what_next_)(Load&) = nullptr;
  std::vector<std::unique_ptr<LoadConnection>> connections_;
  std::size_t connected_ = 0;
  std::size_t ready_ = 0;
  std::size_t durable_ = 0;
  std::int64_t memory_before_ = 0;
  double idle_cpu_before_ = 0;
  LoadResult result_;
};

}  // namespace

LoadResult run_load(const LoadOptions& options) { return Load(options).run(); }

}  // namespace cproto::bench
