#include "daemon/key_store.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "config/secret_file.h"
#include "proto/assert.h"

namespace cproto {

namespace {

constexpr const char* kGroup = "cproto";
constexpr const char* kHead =
    "# Secret. A client's name and 64 hexadecimal digits a line. Made, and made anew, by: cprotoctl key\n";

std::string failed(const std::string& path) { return path + ": " + std::strerror(errno); }

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno != EINTR) return false;
    if (count > 0) text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

// A group that is not there is no daemon's: then it is its owner's alone.
void give_to_daemon(int fd, mode_t mode) {
  const group* entry = ::getgrnam(kGroup);
  if (entry != nullptr && ::fchown(fd, static_cast<uid_t>(-1), entry->gr_gid) == 0) ::fchmod(fd, mode);
}

int open_folder(const std::string& folder) { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }

}  // namespace

KeyStore::KeyStore(std::string path) : path_(std::move(path)), folder_(std::filesystem::path(path_).parent_path()) {
  if (folder_.empty()) folder_ = ".";
}

KeyStore::~KeyStore() {
  if (lock_ >= 0) ::close(lock_);
}

std::string KeyStore::open() {
  // Another may be making the folder, too.
  if (::mkdir(folder_.c_str(), 0700) == 0) {
    lock_ = open_folder(folder_);
    give_to_daemon(lock_, 0750);
  } else {
    lock_ = open_folder(folder_);
  }
  if (lock_ < 0 || ::flock(lock_, LOCK_EX) != 0) return failed(folder_);
  std::string text;
  const int error = read_secret_file(path_, text);
  if (error != 0) return error == ENOENT ? "" : path_ + ": " + std::strerror(error);
  KeyFile file = read_key_file(text);
  explicit_bzero(text.data(), text.size());
  keys_ = std::move(file.keys);
  return file.trouble.empty() ? "" : path_ + ": " + file.trouble;
}

std::size_t KeyStore::remove(const std::string& client_id, std::size_t keep) {
  std::size_t count = static_cast<std::size_t>(
      std::count_if(keys_.begin(), keys_.end(), [&](const ClientKey& key) { return key.client_id == client_id; }));
  std::size_t goes = count - std::min(count, keep);
  count = goes;
  std::erase_if(keys_, [&](const ClientKey& key) { return key.client_id == client_id && goes > 0 && goes-- > 0; });
  return count;
}

std::string KeyStore::save() const {
  const std::string temporary = path_ + ".new";
  ::unlink(temporary.c_str());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return failed(temporary);
  std::string text = kHead;
  for (const ClientKey& key : keys_) text += key.line() + "\n";
  give_to_daemon(fd, 0640);
  const bool is_written = write_all(fd, text) && ::fsync(fd) == 0;
  const std::string why = is_written ? "" : failed(temporary);
  ::close(fd);
  explicit_bzero(text.data(), text.size());
  if (!is_written) {
    ::unlink(temporary.c_str());
    return why;
  }
  if (::rename(temporary.c_str(), path_.c_str()) != 0) return failed(path_);
  return ::fsync(lock_) == 0 ? "" : failed(folder_);
}

Secret draw_secret() {
  std::array<std::uint8_t, Secret::kSize> bytes{};
  CPROTO_ASSERT(::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  Secret secret(bytes);
  explicit_bzero(bytes.data(), bytes.size());
  return secret;
}

}  // namespace cproto
