#include "tests/bench/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <filesystem>
#include <thread>

#include "tests/bench/clock.h"

namespace cproto::bench {

namespace {

constexpr Duration kPoll = 10ms;
constexpr Duration kStopTimeout = 40s;  // more than it takes a cprotod to drain

void end_with_parent() {
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
}

// What fork() returned 0 to: only what may be called there.
[[noreturn]] void become(char* const* command, const char* log) {
  end_with_parent();
  const int output = ::open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::execvp(command[0], command);
  ::_exit(127);
}

}  // namespace

std::string own_folder() {
  char path[PATH_MAX];
  const ssize_t size = ::readlink("/proc/self/exe", path, sizeof path);
  return size > 0 ? std::filesystem::path(std::string(path, static_cast<std::size_t>(size))).parent_path().string()
                  : ".";
}

std::unique_ptr<Child> Child::start(const std::vector<std::string>& command, const std::string& log) {
  std::vector<std::string> words = command;
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) become(pointers.data(), log.c_str());
  return pid > 0 ? std::unique_ptr<Child>(new Child(pid)) : nullptr;
}

std::unique_ptr<Child> Child::start(const std::function<int()>& work) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    end_with_parent();
    ::_exit(work());
  }
  return pid > 0 ? std::unique_ptr<Child>(new Child(pid)) : nullptr;
}

bool Child::has_ended() {
  if (!is_reaped_) is_reaped_ = ::waitpid(pid_, &status_, WNOHANG) == pid_;
  return is_reaped_;
}

int Child::wait() {
  if (!is_reaped_) is_reaped_ = ::waitpid(pid_, &status_, 0) == pid_;
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

void Child::kill() {
  if (has_ended()) return;
  ::kill(pid_, SIGKILL);
  wait();
}

Child::~Child() {
  if (has_ended()) return;
  ::kill(pid_, SIGTERM);
  for (const Instant begin = now(); now() - begin < kStopTimeout && !has_ended();) std::this_thread::sleep_for(kPoll);
  kill();
}

}  // namespace cproto::bench
