#include "tests/simulation/client_machine.h"

#include <algorithm>
#include <utility>

namespace cproto::sim {

class ClientMachine::Watch final : public client::LogWatch {
 public:
  Watch(ClientMachine& machine, Duration poll, std::function<void()> wake)
      : machine_(machine), poll_(poll), wake_(std::move(wake)) {}
  ~Watch() override { *is_there_ = false; }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  void arm(const std::string&, bool) override {
    const auto fire = [this, is_there = is_there_, number = ++armed_] {
      if (!*is_there || number != armed_) return;
      ++armed_;
      wake_();
    };
    machine_.later(poll_, fire);
    if (machine_.sees_changes_) machine_.on_log_ = fire;
  }

 private:
  ClientMachine& machine_;
  Duration poll_;
  std::function<void()> wake_;
  unsigned armed_ = 0;
  std::shared_ptr<bool> is_there_ = std::make_shared<bool>(true);
};

class ClientMachine::PipeEnd final : public client::Stream {
 public:
  PipeEnd(ClientMachine& machine, std::function<void()> wake)
      : machine_(machine), pipe_(machine.pipe_), wake_(std::move(wake)) {}

  int open(const std::string&) override {
    is_open_ = true;
    return 0;
  }
  void close() override { is_open_ = false; }
  bool is_open() const override { return is_open_; }

  Got fill() override {
    if (pipe_->bytes.empty()) {
      if (pipe_->is_closed) return Got::end;
      machine_.on_pipe_ = wake_;
      return Got::wait;
    }
    data_.erase(data_.begin(), data_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
    append(data_, pipe_->bytes);
    pipe_->bytes.clear();
    return Got::some;
  }
  int error() const override { return 0; }
  ByteView data() const override { return ByteView(data_).subspan(head_); }
  void consume(std::size_t bytes) override { head_ += bytes; }
  bool is_stream() const override { return true; }
  bool has_writer() const override { return true; }

 private:
  ClientMachine& machine_;
  std::shared_ptr<Pipe> pipe_;
  std::function<void()> wake_;
  Bytes data_;
  std::size_t head_ = 0;
  bool is_open_ = false;
};

ClientMachine::ClientMachine(Scheduler& scheduler, Random& random, test::MemoryFiles& files,
                             std::shared_ptr<Pipe> standard_input, bool sees_changes, Enter enter)
    : scheduler_(scheduler),
      random_(random),
      files_(files),
      pipe_(std::move(standard_input)),
      sees_changes_(sees_changes),
      enter_(std::move(enter)) {}

void ClientMachine::later(Duration delay, std::function<void()> step) {
  scheduler_.after(delay, [is_alive = is_alive_, enter = enter_, step = std::move(step)] {
    if (!*is_alive) return;
    enter([is_alive, step] {
      if (*is_alive) step();
    });
  });
}

void ClientMachine::on_change() {
  if (on_log_) later(0s, std::exchange(on_log_, nullptr));
  if (on_pipe_) later(0s, std::exchange(on_pipe_, nullptr));
}

void ClientMachine::run_aside(std::function<void()> work, std::function<void()> done) {
  later(std::chrono::microseconds(random_.between(50, 3000)), [work = std::move(work), done = std::move(done)] {
    work();
    done();
  });
}

std::unique_ptr<client::LogWatch> ClientMachine::watch_log(Duration poll, std::function<void()> wake) {
  return std::make_unique<Watch>(*this, poll, std::move(wake));
}

std::unique_ptr<client::Stream> ClientMachine::make_stream(std::function<void()> wake) {
  return std::make_unique<PipeEnd>(*this, std::move(wake));
}

}  // namespace cproto::sim
