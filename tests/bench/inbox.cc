#include "tests/bench/inbox.h"

#include <filesystem>
#include <system_error>
#include <thread>

#include "tests/bench/clock.h"

namespace cproto::bench {

namespace {

namespace fs = std::filesystem;

constexpr Duration kPoll = 1ms;
constexpr Duration kTimeout = 60s;

template <class Do>
void each_log(const std::string& inbox, Do&& act) {
  std::error_code ignored;
  for (const auto& client : fs::directory_iterator(inbox, ignored))
    for (const auto& log : fs::directory_iterator(client.path(), ignored))
      if (log.is_regular_file(ignored)) act(log);
}

}  // namespace

void clear_inbox(const std::string& inbox) {
  each_log(inbox, [](const fs::directory_entry& log) {
    std::error_code ignored;
    fs::remove(log.path(), ignored);
  });
}

std::optional<Duration> await_inbox(const std::string& inbox, std::uint64_t bytes, Instant begin) {
  while (now() - begin < kTimeout) {
    std::uint64_t found = 0;
    each_log(inbox, [&](const fs::directory_entry& log) {
      std::error_code gone;
      const std::uint64_t size = log.file_size(gone);
      if (!gone) found += size;
    });
    if (found >= bytes) return now() - begin;
    std::this_thread::sleep_for(kPoll);
  }
  return std::nullopt;
}

}  // namespace cproto::bench
