#include "daemon/logging.h"

#include <spdlog/async.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
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

// Runs on the queue's thread, which may wait for a reader as long as it likes. Counts what came through, so that the
// end knows whether anything is still on its way.
class CountedSink : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  std::size_t written() const { return written_.load(); }

 protected:
  virtual void deliver(const spdlog::details::log_msg& message) = 0;

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    deliver(message);
    ++written_;
  }
  void flush_() override {}

  std::atomic<std::size_t> written_{0};
};

// Not by stdio: a thread stuck in a write would hold its lock, and the end of the program wants it.
class StderrSink final : public CountedSink {
  void deliver(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    for (std::size_t at = 0; at < line.size();) {
      const ssize_t count = ::write(STDERR_FILENO, line.data() + at, line.size() - at);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return;  // nobody is there: nothing can be said about it
      at += static_cast<std::size_t>(count);
    }
  }
};

class JournalSink final : public CountedSink {
  void deliver(const spdlog::details::log_msg& message) override {
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

  std::vector<iovec> fields_;
};

// Still referred to, so that a leak checker knows of it.
using Abandoned = std::pair<std::shared_ptr<spdlog::async_logger>, std::shared_ptr<spdlog::details::thread_pool>>;
[[maybe_unused]] const Abandoned* abandoned = nullptr;

class SpdlogLog final : public Log {
 public:
  explicit SpdlogLog(Severity least) : least_(least), to_journal_(stderr_is_journal()) {
    pool_ = std::make_shared<spdlog::details::thread_pool>(kQueuedLines, 1);
    if (to_journal_) {
      sink_ = std::make_shared<JournalSink>();
    } else {
      sink_ = std::make_shared<StderrSink>();
    }
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
  std::shared_ptr<CountedSink> sink_;
  std::shared_ptr<spdlog::async_logger> logger_;
};

}  // namespace

std::unique_ptr<Log> make_log(Severity least) { return std::make_unique<SpdlogLog>(least); }

void set_level(Log& log, Severity least) { static_cast<SpdlogLog&>(log).set_least(least); }

}  // namespace cproto
