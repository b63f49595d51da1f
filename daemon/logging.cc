#include "daemon/logging.h"

#include <spdlog/async.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>

namespace cproto {

namespace {

constexpr std::size_t kQueuedLines = 8192;

spdlog::level::level_enum to_spdlog(Severity severity) {
  switch (severity) {
    case Severity::error: return spdlog::level::err;
    case Severity::warn: return spdlog::level::warn;
    case Severity::info: return spdlog::level::info;
    case Severity::debug: return spdlog::level::debug;
  }
  return spdlog::level::info;
}

// sd-daemon(3): "<N>" at the beginning of a line on standard error is its priority.
const char* prefix(Severity severity) {
  switch (severity) {
    case Severity::error: return "<3>";
    case Severity::warn: return "<4>";
    case Severity::info: return "<6>";
    case Severity::debug: return "<7>";
  }
  return "<6>";
}

class SpdlogLog final : public Log {
 public:
  explicit SpdlogLog(Severity least) : least_(least), to_journal_(std::getenv("JOURNAL_STREAM") != nullptr) {
    pool_ = std::make_shared<spdlog::details::thread_pool>(kQueuedLines, 1);
    auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    logger_ = std::make_shared<spdlog::async_logger>("cprotod", std::move(sink), pool_,
                                                     spdlog::async_overflow_policy::overrun_oldest);
    logger_->set_pattern(to_journal_ ? "%v" : "%Y-%m-%d %H:%M:%S.%e %l: %v");
    logger_->set_level(spdlog::level::debug);
    logger_->flush_on(spdlog::level::debug);
  }
  ~SpdlogLog() override { say_lost(); }

  void write(Severity severity, std::string_view line) override {
    if (!is_on(severity)) return;
    say_lost();
    put(severity, line);
  }
  bool is_on(Severity severity) const override { return severity <= least_; }
  void set_least(Severity least) { least_ = least; }

 private:
  void put(Severity severity, std::string_view line) {
    logger_->log(to_spdlog(severity), "{}{}", to_journal_ ? prefix(severity) : "", line);
  }
  void say_lost() {
    const std::size_t lost = pool_->overrun_counter();
    if (lost == lost_said_) return;
    put(Severity::warn,
        std::to_string(lost - lost_said_) + " lines were not logged: they came faster than they could be written");
    lost_said_ = lost;
  }

  Severity least_;
  bool to_journal_;
  std::size_t lost_said_ = 0;
  std::shared_ptr<spdlog::details::thread_pool> pool_;
  std::shared_ptr<spdlog::async_logger> logger_;
};

}  // namespace

std::unique_ptr<Log> make_log(Severity least) { return std::make_unique<SpdlogLog>(least); }

void set_level(Log& log, Severity least) { static_cast<SpdlogLog&>(log).set_least(least); }

}  // namespace cproto
