#include "daemon/logging.h"

#include <spdlog/async.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "daemon/journal_entry.h"

#ifdef CPROTO_HAVE_LIBSYSTEMD
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
#endif

namespace cproto {

namespace {

constexpr std::size_t kQueuedLines = 8192;
// How long the end of the program waits for a reader of the log that does not read.
constexpr std::chrono::milliseconds kLastWords{1000};

spdlog::level::level_enum to_spdlog(Severity severity) {
  switch (severity) {
    case Severity::error: return spdlog::level::err;
    case Severity::warn: return spdlog::level::warn;
    case Severity::info: return spdlog::level::info;
    case Severity::debug: return spdlog::level::debug;
  }
  return spdlog::level::info;
}

// systemd.exec(5), $JOURNAL_STREAM: device and inode of the journal's socket, if standard error was not redirected.
bool stderr_is_journal() {
#ifdef CPROTO_HAVE_LIBSYSTEMD
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &status) != 0) return false;
  return stream == std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
#else
  return false;
#endif
}

using SingleThreadSink = spdlog::sinks::base_sink<spdlog::details::null_mutex>;

// Runs on the queue's thread, which may wait for journald as long as it likes.
class JournalSink final : public SingleThreadSink {
  void sink_it_(const spdlog::details::log_msg& message) override {
#ifdef CPROTO_HAVE_LIBSYSTEMD
    fields_.clear();
    std::string_view rest(message.payload.data(), message.payload.size());
    while (!rest.empty()) {
      const std::string_view field = rest.substr(0, rest.find('\n'));
      fields_.push_back({const_cast<char*>(field.data()), field.size()});
      rest.remove_prefix(std::min(rest.size(), field.size() + 1));
    }
    sd_journal_sendv(fields_.data(), static_cast<int>(fields_.size()));
#else
    static_cast<void>(message);
#endif
  }
  void flush_() override {}

  std::vector<iovec> fields_;
};

// Counts what came through, so that the end knows whether anything is still on its way.
class CountingSink final : public SingleThreadSink {
 public:
  explicit CountingSink(spdlog::sink_ptr to) : to_(std::move(to)) {}
  std::size_t written() const { return written_.load(); }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    to_->log(message);
    to_->flush();
    ++written_;
  }
  void flush_() override {}
  void set_pattern_(const std::string& pattern) override { to_->set_pattern(pattern); }
  void set_formatter_(std::unique_ptr<spdlog::formatter> formatter) override {
    to_->set_formatter(std::move(formatter));
  }

  spdlog::sink_ptr to_;
  std::atomic<std::size_t> written_{0};
};

// Still referred to, so that a leak checker knows of it.
using Abandoned = std::pair<std::shared_ptr<spdlog::async_logger>, std::shared_ptr<spdlog::details::thread_pool>>;
[[maybe_unused]] const Abandoned* abandoned = nullptr;

class SpdlogLog final : public Log {
 public:
  explicit SpdlogLog(Severity least) : least_(least), to_journal_(stderr_is_journal()) {
    pool_ = std::make_shared<spdlog::details::thread_pool>(kQueuedLines, 1);
    spdlog::sink_ptr to = std::make_shared<spdlog::sinks::stderr_sink_st>();
    if (to_journal_) to = std::make_shared<JournalSink>();
    sink_ = std::make_shared<CountingSink>(std::move(to));
    logger_ =
        std::make_shared<spdlog::async_logger>("cprotod", sink_, pool_, spdlog::async_overflow_policy::overrun_oldest);
    logger_->set_pattern("%Y-%m-%d %H:%M:%S.%e %l: %v");
    logger_->set_level(spdlog::level::debug);
  }
  ~SpdlogLog() override {
    say_lost();
    const auto until = std::chrono::steady_clock::now() + kLastWords;
    while (sink_->written() + pool_->overrun_counter() < put_ && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    // The pool's destructor would wait for its thread, and that may be stuck in a write nobody reads: leave both be.
    if (sink_->written() + pool_->overrun_counter() < put_)
      abandoned = new Abandoned(std::move(logger_), std::move(pool_));
  }

  void write(Severity severity, LogEvent event, std::string_view line, const LogFields& fields) override {
    if (!is_on(severity)) return;
    say_lost();
    put(severity, event, line, fields);
  }
  bool is_on(Severity severity) const override { return severity <= least_; }
  void set_least(Severity least) { least_ = least; }

 private:
  void put(Severity severity, LogEvent event, std::string_view line, const LogFields& fields) {
    ++put_;
    if (to_journal_) {
      logger_->log(to_spdlog(severity), journal_entry(severity, event, line, fields));
    } else {
      logger_->log(to_spdlog(severity), spdlog::string_view_t(line.data(), line.size()));
    }
  }
  void say_lost() {
    const std::size_t lost = pool_->overrun_counter();
    if (lost == lost_said_) return;
    put(Severity::warn, LogEvent::lines_lost,
        std::to_string(lost - lost_said_) + " lines were not logged: they came faster than they could be written", {});
    lost_said_ = lost;
  }

  Severity least_;
  bool to_journal_;
  std::size_t put_ = 0;
  std::size_t lost_said_ = 0;
  std::shared_ptr<spdlog::details::thread_pool> pool_;
  std::shared_ptr<CountingSink> sink_;
  std::shared_ptr<spdlog::async_logger> logger_;
};

}  // namespace

std::unique_ptr<Log> make_log(Severity least) { return std::make_unique<SpdlogLog>(least); }

void set_level(Log& log, Severity least) { static_cast<SpdlogLog&>(log).set_least(least); }

}  // namespace cproto
