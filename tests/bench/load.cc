#include "tests/bench/load.h"

#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <memory>

#include "tests/bench/clock.h"
#include "tests/bench/load_connection.h"

namespace cproto::bench {

namespace {

// Only acknowledgements come this way.
constexpr std::size_t kReadSize = 64 * 1024;

class Load final : LoadConnection::Owner {
 public:
  explicit Load(const LoadOptions& options) : options_(options), read_buffer_(kReadSize) {
    if (options.mode == OperationMode::step_by_step) result_.round_trips.reserve(options.count);
  }

  LoadResult run() {
    uv_loop_init(&loop_);
    const LoadConnection::Shared shared{&loop_, *this, options_.payload, read_buffer_,
                                        options_.mode == OperationMode::step_by_step};
    for (std::size_t i = 0; i < options_.connections; ++i)
      connections_.push_back(std::make_unique<LoadConnection>(shared, offer(i)));
    for (const auto& connection : connections_) connection->connect(options_.server);
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

  // The clock starts when the last connection is there.
  void on_ready(const SynAck& terms) override {
    result_.terms = terms;
    if (++ready_ == connections_.size()) in_next_round([](Load& self) { self.begin(); });
  }

  void begin() {
    result_.client_cpu = cpu_seconds(getpid());
    result_.server_cpu = cpu_seconds(options_.server_pid);
    begin_ = now();
    const std::size_t count = connections_.size();
    for (std::size_t i = 0; i < count; ++i)
      connections_[i]->begin(options_.count / count + (i < options_.count % count ? 1 : 0));
  }

  void on_round_trip(Duration lasted) override { result_.round_trips.push_back(lasted); }

  void on_all_durable() override {
    if (++durable_ < connections_.size()) return;
    result_.lasted = now() - begin_;
    result_.client_cpu = cpu_seconds(getpid()) - result_.client_cpu;
    result_.server_cpu = cpu_seconds(options_.server_pid) - result_.server_cpu;
    in_next_round([](Load& self) {
      for (const auto& connection : self.connections_) connection->end();
    });
  }

  void on_trouble(const std::string& what) override {
    if (result_.trouble.empty()) result_.trouble = what;
    for (const auto& connection : connections_) connection->close();
  }

  // A session is given one input at a time: what an event of one leads to happens outside its turn.
  void in_next_round(void (*what)(Load&)) {
    what_next_ = what;
    uv_timer_init(&loop_, &next_round_);
    next_round_.data = this;
    const auto go = [](uv_timer_t* timer) {
      auto* self = static_cast<Load*>(timer->data);
      uv_close(reinterpret_cast<uv_handle_t*>(timer), [](uv_handle_t*) {});
      self->what_next_(*self);
    };
    uv_timer_start(&next_round_, go, 0, 0);
  }

  const LoadOptions& options_;
  Bytes read_buffer_;
  uv_loop_t loop_{};
  uv_timer_t next_round_{};
  void (*what_next_)(Load&) = nullptr;
  std::vector<std::unique_ptr<LoadConnection>> connections_;
  std::size_t ready_ = 0;
  std::size_t durable_ = 0;
  Instant begin_{};
  LoadResult result_;
};

}  // namespace

LoadResult run_load(const LoadOptions& options) { return Load(options).run(); }

}  // namespace cproto::bench
